"""The loop, with a scheduler in memory and a clock of our own."""

import shutil

import pytest

from offload.plugins.errors import (
    SchedulerError,
    SchedulerRefusedError,
    SchedulerTryLaterError,
)
from offload.plugins.executor import Job
from offload.plugins.records import Stage


@pytest.fixture
def submit(world):
    """What the scheduler does with jobs, whatever a test puts in its place."""
    return world.scheduler.submit


async def test_however_many_pods_one_query_a_tick(world):
    await world.accept(100, group="g", group_size=100)
    await world.step()
    assert world.scheduler.submitted == [100]
    before = world.scheduler.queries
    await world.step(1, times=50)
    assert world.scheduler.queries - before <= 50 / world.scheduler.tick_s + 1
    assert world.reason("u-7") == "Queued"


async def test_nothing_is_asked_if_nothing_is_there(world):
    await world.step(5, times=20)
    assert world.scheduler.queries == 1  # for what an earlier plugin may have left


async def test_a_limit_on_jobs_is_found_and_all_get_through(world):
    world.scheduler.limit = 7
    await world.accept(20, group="g", group_size=20)
    for _ in range(200):
        await world.step(1)
        assert len(world.scheduler.jobs) <= 7
        if Stage.ACCEPTED not in world.stages():
            break
        if len(world.scheduler.jobs) == 7:
            world.scheduler.jobs.pop(next(iter(world.scheduler.jobs)))
    assert Stage.ACCEPTED not in world.stages()
    assert sum(world.scheduler.submitted) == 20


async def test_what_is_refused_for_ever_ends_with_the_words(world):
    world.scheduler.failures = [SchedulerRefusedError("invalid partition")]
    await world.accept()
    await world.step()
    assert world.stages() == [Stage.ENDED]
    assert world.reason() == "Refused"


async def test_what_is_refused_for_now_is_tried_again_and_said(world):
    world.scheduler.failures = [SchedulerTryLaterError("busy")] * 3
    await world.accept()
    await world.step()
    assert world.reason() == "SubmissionFailed"
    await world.step(1, times=20)
    assert world.scheduler.submitted == [1]
    assert world.stages() == [Stage.SUBMITTED]


async def test_an_answer_that_is_lost_leads_to_one_job(world, submit):
    async def lost(submission, folder):
        await submit(submission, folder)
        raise SchedulerError("timed out")

    world.scheduler.submit = lost
    await world.accept()
    await world.step(1, times=30)
    assert world.scheduler.submitted == [1]
    assert world.stages() == [Stage.SUBMITTED]


async def test_a_call_that_never_arrived_is_made_again_but_not_at_once(world):
    world.scheduler.failures = [SchedulerError("timed out")]
    await world.accept()
    await world.step(1, times=9)
    assert world.scheduler.submitted == []
    await world.step(1, times=20)
    assert world.scheduler.submitted == [1]


@pytest.mark.parametrize("has_job", [True, False])
async def test_killed_while_submitting(world, submit, has_job):
    """The record says that a job may exist: it does, or it does not."""
    await world.accept(2, group="g", group_size=2)

    async def killed(submission, folder):
        if has_job:
            await submit(submission, folder)
        raise KeyboardInterrupt

    world.scheduler.submit = killed
    with pytest.raises(KeyboardInterrupt):
        await world.step()
    del world.scheduler.submit
    world.start()
    await world.step(1, times=15)
    assert world.scheduler.submitted == [2]
    assert world.stages() == [Stage.SUBMITTED] * 2
    assert len({e.record.job for e in world.table}) == 2


async def test_a_second_job_of_a_pod_is_cancelled(world):
    await world.accept()
    await world.step()
    first = world.scheduler.jobs["1"]
    world.scheduler.jobs["9"] = Job("9", "slurm:9", first.submission, 0, "PENDING")
    await world.step(1, times=3)
    assert set(world.scheduler.cancelled) == {"9"}


async def test_a_job_of_no_pod_is_cancelled(world):
    world.scheduler.jobs["5"] = Job("5", "slurm:5", "unknown", 0, "RUNNING")
    await world.step()
    assert world.scheduler.cancelled == ["5"]


async def test_a_deletion_is_repeated_until_the_job_is_gone(world):
    await world.accept()
    await world.step()
    entry = world.table.get("u-0")
    world.table.save(entry, entry.record.changed(is_unwanted=True))
    await world.step(2, times=5)
    assert len(world.scheduler.cancelled) >= 3
    world.start()
    await world.step(2)
    assert not world.table.get("u-0").is_gone
    world.scheduler.set("CANCELLED", nodes="")
    await world.step(2, times=2)
    assert world.table.get("u-0").is_gone
    assert (await world.table.changes(1, 0)).gone == ("u-0",)


async def test_a_scheduler_that_is_away_ends_nothing(world):
    await world.accept()
    await world.step()

    async def away():
        raise SchedulerError("no answer")

    world.scheduler.queue = away
    await world.step(5, times=20)
    assert world.loop.problem == "no answer"
    assert world.stages() == [Stage.SUBMITTED]
    del world.scheduler.queue
    await world.step(5)
    assert world.loop.problem == ""


async def test_logs_and_records_go_by_age(world):
    world.scheduler.failures = [SchedulerRefusedError("never")]
    await world.accept()
    await world.step()
    folder = world.work.pod("u-0").path
    (folder / "logs/main.log").write_text("kept")
    (folder / "volumes").mkdir()
    await world.step(61)
    assert (folder / "logs/main.log").exists()
    assert not (folder / "volumes").exists()
    await world.step(61)
    assert not folder.exists()
    assert world.table.get("u-0") is None


async def test_a_full_disk_takes_in_nothing(world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("offload.plugins.records.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        await world.accept()
    assert list(world.table) == []
    assert list((world.work.path / "pods").iterdir()) == []
    shutil.rmtree(world.work.path)
