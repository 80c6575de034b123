import pytest

from offload.interlink import (
    ContainerState,
    ContainerStatus,
    Phase,
    PodStatus,
    RunningState,
    TerminatedState,
    WaitingState,
    phase,
)


def container(kind):
    state = {
        "w": ContainerState(waiting=WaitingState(reason="Queued")),
        "r": ContainerState(running=RunningState()),
        "0": ContainerState(terminated=TerminatedState(exit_code=0)),
        "1": ContainerState(terminated=TerminatedState(exit_code=1)),
        "?": ContainerState(),
    }[kind]
    return ContainerStatus(name=f"c{kind}", state=state)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("", Phase.PENDING), ("w", Phase.PENDING), ("?", Phase.PENDING),
        ("ww", Phase.PENDING), ("r", Phase.RUNNING), ("wr", Phase.RUNNING),
        ("0r", Phase.RUNNING), ("1r", Phase.RUNNING), ("0w", Phase.RUNNING),
        ("0", Phase.SUCCEEDED), ("00", Phase.SUCCEEDED), ("01", Phase.FAILED),
        ("1", Phase.FAILED),
    ],
)  # fmt: skip
def test_phase(kinds, expected):
    assert phase([container(kind) for kind in kinds]) is expected


@pytest.mark.parametrize(
    ("init", "main", "expected"),
    [
        ("1", "w", Phase.FAILED),
        ("0", "w", Phase.PENDING),
        ("r", "w", Phase.PENDING),
        ("0", "r", Phase.RUNNING),
        ("0", "0", Phase.SUCCEEDED),
    ],
)
def test_phase_of_a_pod_with_init_containers(init, main, expected):
    status = PodStatus(
        uid="u", init_containers=(container(init),), containers=(container(main),)
    )
    assert status.phase is expected


def test_final_phases():
    assert [p for p in Phase if p.is_final] == [Phase.SUCCEEDED, Phase.FAILED]
