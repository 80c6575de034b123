import pytest

from offload.interlink import Phase, Reason
from offload.plugins.states import CODES, STATES, Life, meaning, normalise

# Every state of squeue(1), with what a pod of it is: phase, and reason unless it runs.
DECLARED = {
    "BF": ("Failed", "BootFail"),
    "CA": ("Failed", "Cancelled"),
    "CD": ("Succeeded", "Completed"),
    "CF": ("Pending", "Configuring"),
    "CG": ("Running", None),
    "DL": ("Failed", "DeadlineExceeded"),
    "F": ("Failed", "Error"),
    "NF": ("Failed", "NodeFail"),
    "OOM": ("Failed", "OOMKilled"),
    "PD": ("Pending", "Queued"),
    "PR": ("Failed", "Preempted"),
    "R": ("Running", None),
    "RD": ("Pending", "Held"),
    "RF": ("Pending", "Requeued"),
    "RH": ("Pending", "Held"),
    "RQ": ("Pending", "Requeued"),
    "RS": ("Running", None),
    "RV": ("Failed", "Cancelled"),
    "S": ("Running", None),
    "SE": ("Pending", "Held"),
    "SI": ("Running", None),
    "SO": ("Running", None),
    "ST": ("Running", None),
    "TO": ("Failed", "DeadlineExceeded"),
}


def test_every_code_of_slurm_is_declared():
    assert set(CODES) == set(DECLARED)


@pytest.mark.parametrize("code", DECLARED)
def test_declared_phase_and_reason(code):
    for name in (code, CODES[code], CODES[code].lower()):
        known = meaning(name)
        assert (known.phase, known.reason) == DECLARED[code]
        assert known.words


@pytest.mark.parametrize("name", STATES)
def test_life_and_phase_agree(name):
    known = STATES[name]
    assert (known.life is Life.ENDED) == known.phase.is_final
    assert (known.life is Life.RUNNING) == (known.phase is Phase.RUNNING)
    assert (known.reason is None) == (known.life is Life.RUNNING)


@pytest.mark.parametrize(
    ("printed", "name"),
    [("CANCELLED by 1000", "CANCELLED"), ("TIMEOUT+", "TIMEOUT"), ("pd", "PENDING"),
     ("", ""), ("OUT_OF_MEMORY", "OUT_OF_MEMORY")],
)  # fmt: skip
def test_normalise(printed, name):
    assert normalise(printed) == name


def test_a_state_of_a_newer_slurm_is_not_the_end():
    assert meaning("LEVITATING").life is Life.RUNNING
    assert meaning("LEVITATING").words == "its state is LEVITATING"


@pytest.mark.parametrize(
    ("why", "reason", "words"),
    [
        ("Resources", Reason.QUEUED, "it waits for free resources (Resources)"),
        ("JobHeldUser", Reason.HELD, "it is held by its owner (JobHeldUser)"),
        (
            "QOSMaxGRESPerUser",
            Reason.QUEUED,
            "a limit of its quality of service is reached (QOSMaxGRESPerUser)",
        ),
        (
            "AssocGrpCPULimit",
            Reason.QUEUED,
            "a limit of its account is reached (AssocGrpCPULimit)",
        ),
        ("Novelty", Reason.QUEUED, "it waits in the queue (Novelty)"),
        ("", Reason.QUEUED, "it waits in the queue"),
    ],
)
def test_what_waits_says_for_what(why, reason, words):
    known = meaning("PENDING", why)
    assert (known.phase, known.reason, known.words) == (Phase.PENDING, reason, words)
