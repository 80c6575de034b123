import pytest

from offload.interlink import ContainerStatus, Phase, Pod
from offload.plugins.facts import Done, Facts
from offload.plugins.records import Ending, Record, Stage
from offload.plugins.statuses import is_final, pod_status

POD = Pod.model_validate(
    {"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
)
RUNNING = {"running": {"startedAt": "2026-07-01T10:00:00Z"}}
STOPPED = {"terminated": {"exitCode": 143, "reason": "Terminated",
                          "startedAt": "2026-07-01T10:00:00Z"}}  # fmt: skip


def container(state):
    return {"main": ContainerStatus.model_validate({"name": "main", "state": state})}


def status(stage=Stage.SUBMITTED, facts=None, is_put_back=False, **fields):
    record = Record(uid="u", accepted_at=0, stage=stage, job="7", **fields)
    found = pod_status(POD, record, facts or Facts(), is_put_back=is_put_back)
    return found, found.containers[0]


def waiting(stage=Stage.SUBMITTED, **fields):
    found, container = status(stage, **fields)
    assert found.phase is Phase.PENDING
    return container.state.waiting.reason, container.state.waiting.message


def test_before_submission():
    assert waiting(Stage.ACCEPTED)[0] == "Accepted"
    assert waiting(Stage.SUBMITTING)[0] == "Accepted"
    reason, words = waiting(Stage.ACCEPTED, refusal="slurm is busy", refusals=1)
    assert reason == "SubmissionFailed"
    assert words.endswith("slurm is busy")


def test_queued_is_pending_never_running():
    assert waiting(state="PENDING", why="Resources") == (
        "Queued", "it waits for free resources (Resources)",
    )  # fmt: skip
    assert waiting(state="") == ("Queued", "the scheduler has taken it")


def test_running_for_the_scheduler_is_not_yet_running():
    assert waiting(state="RUNNING")[0] == "ContainerCreating"


def test_files_are_newer_than_the_queue():
    found, _ = status(
        state="PENDING", facts=Facts("slurm:7", 0, None, container(RUNNING))
    )
    assert found.phase is Phase.RUNNING


def test_put_back_into_the_queue():
    facts = Facts("slurm:7", 0, None, container(RUNNING))
    found, main = status(
        state="PENDING", why="BeginTime", facts=facts, is_put_back=True
    )
    assert found.phase is Phase.PENDING
    assert main.state.waiting.reason == "Requeued"
    assert main.restart_count == 1
    assert main.last_state.terminated.reason == "Preempted"


def test_stopped_is_shown_as_running_until_it_is_known_why():
    done = Done(statuses=container(STOPPED), stop="Terminated")
    facts = Facts("slurm:7", 0, done, container(STOPPED))
    found, _ = status(state="RUNNING", facts=facts)
    assert found.phase is Phase.RUNNING
    ending = Ending(reason="Preempted", message="others came")
    found, main = status(Stage.ENDED, facts=facts, state="PREEMPTED", ending=ending)
    assert found.phase is Phase.FAILED
    assert main.state.terminated.reason == "Preempted"
    assert main.state.terminated.exit_code == 143


@pytest.mark.parametrize("reason", ["OOMKilled", "Completed", "DeadlineExceeded"])
def test_what_the_wrapper_knows_stands(reason):
    end = {"terminated": {"exitCode": 1, "reason": reason, "message": "said"}}
    facts = Facts("slurm:7", 0, Done(statuses=container(end)))
    record = Record(uid="u", accepted_at=0, stage=Stage.SUBMITTED, state="RUNNING")
    assert is_final(record, facts)
    ending = Ending(reason="NodeFail", message="gone")
    _, main = status(Stage.ENDED, facts=facts, ending=ending)
    assert (main.state.terminated.reason, main.state.terminated.message) == (
        reason,
        "said",
    )


def test_ended_without_having_run():
    ending = Ending(reason="Refused", message="no such partition")
    found, main = status(Stage.ENDED, ending=ending, ended_at=1000.0)
    assert found.phase is Phase.FAILED
    end = main.state.terminated
    assert (end.exit_code, end.reason, end.message) == (
        128,
        "Refused",
        "no such partition",
    )
    assert end.finished_at.timestamp() == 1000


def test_after_a_failed_init_container_the_others_never_began():
    pod = Pod.model_validate(
        {
            "spec": {
                "containers": [{"name": "main"}],
                "initContainers": [{"name": "init"}],
            }
        }
    )
    failed = ContainerStatus.model_validate(
        {"name": "init", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    )
    facts = Facts("slurm:7", 0, Done(statuses={"init": failed}, reason="Error"))
    record = Record(uid="u", accepted_at=0, stage=Stage.ENDED)
    found = pod_status(pod, record, facts)
    assert found.phase is Phase.FAILED
    assert found.containers[0].state.waiting.reason == "PodInitializing"
