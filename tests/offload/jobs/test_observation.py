from datetime import UTC, datetime

import pytest

from offload.interlink import PodStatus
from offload.jobs.changes import Observed
from offload.jobs.observation import observed
from offload.jobs.stages import Outcome, Stage

AT = "2026-11-21T13:00:00Z"
STARTED = datetime(2026, 11, 21, 13, tzinfo=UTC).timestamp()


def status(*states: dict, init: tuple[dict, ...] = ()) -> PodStatus:
    return PodStatus.model_validate(
        {
            "UID": "u",
            "JID": "77",
            "containers": [
                {"name": name, "state": state}
                for name, state in zip(("main", "helper"), states, strict=False)
            ],
            "initContainers": [{"name": "init", "state": state} for state in init],
        }
    )


def waiting(reason: str, message: str = "") -> dict:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "", message: str = "") -> dict:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": AT,
            "finishedAt": AT,
        }
    }


def end(outcome: Outcome, code: int, message: str) -> Observed:
    return Observed(Stage.RETURNING, "77", message, outcome, code, STARTED, STARTED)


RUNNING = {"running": {"startedAt": AT}}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (status(), Observed(Stage.QUEUED, "77")),
        (status(waiting("Queued")), Observed(Stage.QUEUED, "77", "Queued")),
        (
            status(waiting("Queued", "waits for Priority")),
            Observed(Stage.QUEUED, "77", "waits for Priority"),
        ),
        (status(RUNNING), Observed(Stage.RUNNING, "77", started=STARTED)),
        (status(ended(0), RUNNING), Observed(Stage.RUNNING, "77", started=STARTED)),
        (status(ended(0, "Completed")), end(Outcome.SUCCEEDED, 0, "")),
        (status(ended(0)), end(Outcome.SUCCEEDED, 0, "")),
        (status(ended(3, "Completed")), end(Outcome.FAILED, 3, "exit code 3")),
        (status(ended(3, "Error")), end(Outcome.FAILED, 3, "exit code 3")),
        (
            status(ended(1, "Error", "no such file")),
            end(Outcome.FAILED, 1, "exit code 1: no such file"),
        ),
        (
            status(ended(137, "OOMKilled")),
            end(Outcome.OUT_OF_MEMORY, 137, "it needed more memory than it asked for"),
        ),
        (
            status(ended(143, "DeadlineExceeded")),
            end(Outcome.TIMED_OUT, 143, "its time was over"),
        ),
        (
            status(ended(143, "Cancelled", "by its owner")),
            end(Outcome.CANCELLED, 143, "by its owner"),
        ),
        (
            status(ended(143, "Preempted")),
            end(Outcome.PREEMPTED, 143, "the site gave its resources to another job"),
        ),
        (
            status(ended(1, "NodeFail")),
            end(Outcome.NODE_FAILED, 1, "the machine under it failed"),
        ),
        (
            status(ended(1, "BootFail")),
            end(Outcome.NODE_FAILED, 1, "the machine under it failed"),
        ),
        (
            status(ended(1, "Refused", "no partition")),
            end(Outcome.REFUSED, 1, "no partition"),
        ),
        (status(ended(1, "Lost", "forgotten")), end(Outcome.LOST, 1, "forgotten")),
        (
            status(ended(2, "SomethingOfOthers")),
            end(Outcome.FAILED, 2, "exit code 2"),
        ),
        (
            status(ended(0), ended(4)),
            end(Outcome.FAILED, 4, "container helper: exit code 4"),
        ),
        (
            status(waiting("PodInitializing"), init=(ended(5),)),
            end(Outcome.FAILED, 5, "exit code 5"),
        ),
    ],
)
def test_a_status_is_a_stage_and_an_outcome(said, expected) -> None:
    assert observed(said) == expected


@pytest.mark.parametrize("reason", ["DeadlineExceeded", "Cancelled", "OOMKilled"])
def test_what_ended_it_counts_even_if_the_program_said_it_went_well(reason) -> None:
    assert observed(status(ended(0, reason))).outcome is not Outcome.SUCCEEDED
