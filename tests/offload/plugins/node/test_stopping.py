import pytest

from offload.plugins.node.stopping import (
    Situation,
    grace,
    must_restart,
    restart_delay,
    why_stop,
)


def situation(**changes):
    usual = {
        "now": 1000.0,
        "began": 900.0,
        "deadline_s": None,
        "is_cancelled": False,
        "signal_name": None,
        "allocation_end": None,
    }
    return Situation(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"deadline_s": 101.0}, None),
        ({"deadline_s": 100.0}, "DeadlineExceeded"),
        ({"is_cancelled": True, "signal_name": "SIGTERM"}, "Cancelled"),
        ({"signal_name": "SIGTERM"}, "Terminated"),
        ({"signal_name": "SIGTERM", "allocation_end": 1001.0}, "DeadlineExceeded"),
        ({"signal_name": "SIGTERM", "allocation_end": 9000.0}, "Terminated"),
        ({"allocation_end": 1001.0}, None),
    ],
)
def test_why_a_pod_is_to_end(changes, reason):
    stop = why_stop(situation(**changes))
    assert (stop and stop.reason) == reason


@pytest.mark.parametrize(
    ("wanted", "end", "expected"),
    [
        (30, None, 20),  # of Slurm's 30 s, 10 are for the outputs
        (5, None, 5),
        (300, 1120.0, 110),  # told two minutes ahead
        (300, 990.0, 20),
        (0, None, 0),
    ],
)
def test_grace_leaves_time_for_the_outputs(wanted, end, expected):
    got = grace(wanted, now=1000.0, allocation_end=end, kill_wait_s=30.0)
    assert got == expected


def test_grace_of_a_hasty_scheduler():
    assert grace(30, now=0.0, allocation_end=None, kill_wait_s=4.0) == 2.0


def test_restarts_wait_longer_each_time():
    assert [restart_delay(n, 10) for n in range(6)] == [10, 20, 40, 80, 160, 300]
    assert restart_delay(10**6, 10) == 300


@pytest.mark.parametrize(
    ("policy", "code", "is_init", "again"),
    [
        ("Never", 1, False, False),
        ("Never", 0, False, False),
        ("OnFailure", 1, False, True),
        ("OnFailure", 0, False, False),
        ("Always", 0, False, True),
        ("Always", 0, True, False),
        ("Always", 1, True, True),
    ],
)
def test_restart_policy(policy, code, is_init, again):
    assert must_restart(policy, code, is_init=is_init) is again
