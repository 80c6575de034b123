import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from offload.jobs import queries
from offload.jobs.agent.serving import Agent
from offload.jobs.errors import JobsError
from offload.jobs.stages import Outcome, Stage
from offload.link import Paused
from offload.outputs import land


async def until(condition, *, timeout_s: float = 30.0):
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)
    return found


@pytest.fixture
def at(far):
    async def at(id_, stage: Stage):
        return await until(
            lambda: (job := queries.job(far, str(id_))).stage is stage and job
        )

    return at


@pytest.fixture
def waits(far):
    async def waits(id_, words: str):
        return await until(
            lambda: words in (job := queries.job(far, str(id_))).waiting and job
        )

    return waits


async def test_a_job_is_carried_from_frozen_to_merged(
    far, site, project: Path, pack, agent, send, until_done
) -> None:
    pack({"results/mass.txt": "91.2", "scratch.txt": "x"})
    site.behave(run_s=0.1)
    job = await until_done(await send(outputs=("results/**",)))
    assert (job.outcome, job.message) == (Outcome.SUCCEEDED, "")
    assert list(job.times) == list(Stage)
    assert (project / "results/mass.txt").read_text() == "91.2"
    assert not (project / "scratch.txt").exists()
    folder = far.jobs_dir / str(job.id)
    assert (folder / "outputs/scratch.txt").read_text() == "x"
    assert (folder / "logs/main.log").read_bytes() == b"hello from job-1\n"
    await until(lambda: site.effects("deleted"))
    await until((folder / "job.json").exists)


async def test_a_warm_job_is_created_without_any_waiting(
    far, site, agent, send, until_done
) -> None:
    await until_done(await send())
    asked = len(site.effects("blob_complete"))
    job = await until_done(await send())
    assert len(site.effects("blob_complete")) == asked
    assert job.stage is Stage.DONE


async def test_blobs_travel_once_for_many_jobs(site, agent, send, until_done) -> None:
    ids = [await send() for _ in range(20)]
    for id_ in ids:
        await until_done(id_)
    sent = site.effects("blob_complete")
    assert len(sent) == len(set(sent)) > 0
    assert len(site.effects("created")) == 20


async def test_a_cut_transfer_goes_on_where_it_stopped(
    far, site, project, send, until_done
) -> None:
    site.behave(cut_uploads_at=50)
    agent = Agent(far)
    running = asyncio.create_task(agent.run())
    job = await until_done(await send())
    agent.stop()
    await running
    assert job.outcome is Outcome.SUCCEEDED
    sent = sum(site.effects("received_bytes"))
    there = sum(p.stat().st_size for p in (site.folder / "blobs").iterdir())
    assert sent == there


async def test_a_site_that_is_away_keeps_the_job_and_says_why(
    site, agent, send, until_done, waits
) -> None:
    site.stop()
    site.tell(Paused("its key ended on 2026-11-20"))
    id_ = await send(site="far")
    await waits(id_, "its key ended on 2026-11-20")
    site.start()
    assert (await until_done(id_)).outcome is Outcome.SUCCEEDED


async def test_a_plugin_that_dies_while_jobs_run_loses_nothing(
    site, agent, send, at, waits, until_done
) -> None:
    site.behave(run_s=60)
    id_ = await send()
    await at(id_, Stage.RUNNING)
    site.stop()
    await waits(id_, "nobody listens for far")
    site.behave(run_s=0.1)
    site.start()
    job = await until_done(id_)
    assert (job.outcome, job.waiting) == (Outcome.SUCCEEDED, "")
    assert len(site.effects("created")) == 1


async def test_what_the_site_says_while_it_queues_is_what_the_job_waits_for(
    site, agent, send, waits
) -> None:
    site.behave(queue_s=60)
    job = await waits(await send(), "Priority")
    assert job.stage is Stage.QUEUED


@pytest.mark.parametrize(
    ("how", "outcome", "message"),
    [
        ({"exit_code": 3}, Outcome.FAILED, "exit code 3"),
        ({"refuse": "no such partition"}, Outcome.REFUSED, "no such partition"),
    ],
)
async def test_how_a_job_ended_is_told(
    site, agent, send, until_done, how, outcome, message
) -> None:
    site.behave(**how)
    job = await until_done(await send())
    assert (job.outcome, job.message) == (outcome, message)


async def test_a_full_site_is_tried_again(site, agent, send, waits, until_done) -> None:
    site.behave(no_space=True)
    id_ = await send()
    job = await waits(id_, "site far has no room: the disk is full")
    assert job.waiting_until is not None
    site.behave()
    assert (await until_done(id_)).outcome is Outcome.SUCCEEDED


async def test_a_site_that_lost_blobs_gets_them_again(
    site, agent, send, until_done
) -> None:
    await until_done(await send())
    for blob in (site.folder / "blobs").iterdir():
        blob.unlink()
    assert (await until_done(await send())).outcome is Outcome.SUCCEEDED


async def test_a_job_that_the_site_forgot_is_lost_and_never_run_again(
    site, agent, send, at, until_done
) -> None:
    site.behave(run_s=60)
    id_ = await send()
    await at(id_, Stage.RUNNING)
    (uid,) = site.effects("created")
    site.stop()
    site.behave(run_s=60, forget=[uid])
    site.start()
    assert (await until_done(id_)).outcome is Outcome.LOST
    assert site.effects("created") == [uid]


async def test_a_running_job_is_cancelled_and_its_outputs_come_back(
    far, site, project, pack, agent, send, at, until_done
) -> None:
    pack({"results/partial.txt": "1"})
    site.behave(run_s=60)
    id_ = await send(outputs=("results/**",))
    await at(id_, Stage.RUNNING)
    assert await asyncio.to_thread(queries.cancel, far, str(id_))
    job = await until_done(id_)
    assert job.outcome is Outcome.CANCELLED
    assert (project / "results/partial.txt").read_text() == "1"


async def test_a_job_cancelled_before_it_is_sent_never_reaches_the_site(
    far, site, agent, send, waits, until_done
) -> None:
    site.stop()
    site.tell(Paused("closed"))
    id_ = await send(site="far")
    await waits(id_, "closed")
    await asyncio.to_thread(queries.cancel, far, str(id_))
    assert (await until_done(id_)).outcome is Outcome.CANCELLED
    site.start()
    assert site.effects("created") == []


async def test_one_of_many_is_cancelled(far, site, agent, send, at, until_done) -> None:
    site.behave(run_s=60)
    id_ = await send(count=3)
    await at(id_, Stage.RUNNING)
    await asyncio.to_thread(queries.cancel, far, f"{id_}.1")
    job = await until(
        lambda: (j := queries.job(far, str(id_))).counts.get(Stage.DONE) == 1 and j
    )
    assert job.outcomes == {Outcome.CANCELLED: 1}
    site.behave(run_s=0)
    job = await until_done(id_)
    assert job.outcomes == {Outcome.CANCELLED: 1, Outcome.SUCCEEDED: 2}


async def test_many_equal_jobs_are_handed_over_together(
    far, site, agent, send, until_done
) -> None:
    site.behave(run_s=0.2)
    job = await until_done(await send(count=30))
    assert job.outcomes == {Outcome.SUCCEEDED: 30}
    assert len(set(site.effects("created"))) == len(site.effects("created")) == 30
    folder = far.jobs_dir / str(job.id)
    assert (folder / "7/logs/main.log").read_bytes() == b"hello from job-1-7\n"


@pytest.mark.engines
async def test_a_thousand_equal_jobs_are_carried_and_none_is_lost(
    far, site, agent, send, until_done
) -> None:
    site.behave(run_s=0.2)
    job = await until_done(await send(count=1000))
    assert job.outcomes == {Outcome.SUCCEEDED: 1000}
    assert len(set(site.effects("created"))) == len(site.effects("created")) == 1000
    await until(lambda: len(site.effects("deleted")) == 1000, timeout_s=100)


async def test_a_job_comes_after_another(
    far, site, agent, send, waits, until_done
) -> None:
    site.behave(run_s=60)
    first = await send()
    second = await send(after=(str(first),))
    await waits(second, f"comes after job {first}")
    site.behave(run_s=0)
    job = await until_done(second)
    assert job.outcome is Outcome.SUCCEEDED
    before = queries.job(far, str(first))
    assert job.times[Stage.STORED] >= before.times[Stage.DONE]


async def test_nothing_comes_after_a_job_that_failed(
    site, agent, send, until_done
) -> None:
    site.behave(exit_code=1)
    first = await send()
    second = await until_done(await send(after=(str(first),)))
    assert second.outcome is Outcome.CANCELLED
    assert second.message == f"job {first}, which it comes after, ended: failed"


async def test_another_plugin_is_driven_by_interlinks_calls_alone(
    far, site, agent, send, until_done
) -> None:
    site.behave(plain=True, run_s=0.1)
    job = await until_done(await send())
    assert job.outcome is Outcome.SUCCEEDED
    log = far.jobs_dir / str(job.id) / "logs/main.log"
    assert log.read_bytes() == b"hello from job-1\n"


async def test_credentials_reach_the_site_and_nothing_else(
    far, site, agent, send, until_done
) -> None:
    far.credentials_dir.mkdir(parents=True)
    path = far.credentials_dir / "token"
    path.write_bytes(b"s3cret\n")
    path.chmod(0o600)
    await until_done(await send(credentials=("token",)))
    (uid,) = site.effects("created")
    (container,) = site.asked(uid)["container"]
    assert container["secrets"][0]["data"] == {"token": "czNjcmV0Cg=="}
    kept = [p for p in far.home.rglob("*") if p.is_file()]
    kept += [p for p in far.jobs_dir.rglob("*") if p.is_file()]
    assert not [p for p in kept if b"s3cret" in p.read_bytes()]


@contextlib.asynccontextmanager
async def an_agent(settings):
    agent = Agent(settings)
    running = asyncio.create_task(agent.run())
    yield
    agent.stop()
    await running


async def test_more_than_may_come_back_waits_at_the_site(
    far, site, project, pack, send, waits, until_done
) -> None:
    pack({"results/mass.txt": "91.2"})
    async with an_agent(far.model_copy(update={"most_returned_bytes": 20})):
        id_ = await send(outputs=("results/**",))
        await waits(id_, "its outputs are more than the 20 B that may come back")
    async with an_agent(far.model_copy(update={"most_returned_bytes": 16})):
        id_ = await send(outputs=("results/**",))
        await waits(id_, "its log is more than the 16 B that may come back")
    async with an_agent(far):  # nothing of it is lost
        assert (await until_done(id_)).outcome is Outcome.SUCCEEDED
    assert (project / "results/mass.txt").read_text() == "91.2"


async def test_more_than_may_be_unpacked_stays_packed(
    far, site, project, pack, send, until_done
) -> None:
    pack({"results/zeros.txt": "0" * 100_000})
    async with an_agent(far.model_copy(update={"most_returned_bytes": 50_000})):
        job = await until_done(await send(outputs=("results/**",)))
    assert job.outcome is Outcome.SUCCEEDED
    (element,) = queries.job(far, str(job.id), with_elements=True).elements
    kept = far.jobs_dir / str(job.id) / "outputs.tar.zst"
    (line,) = element.report
    assert line == (
        f"job {job.id}: its outputs are more than 48.83 KiB (offload.returned of "
        f"facility.yaml): all of them are in {kept}, packed, and nothing is merged"
    )
    land(kept, far.jobs_dir / "by hand")
    by_hand = far.jobs_dir / "by hand/outputs/results/zeros.txt"
    assert by_hand.stat().st_size == 100_000
    assert not (project / "results").exists()


async def test_a_credential_that_was_opened_to_others_is_not_sent(
    far, site, agent, send, until_done, waits
) -> None:
    far.credentials_dir.mkdir(parents=True)
    path = far.credentials_dir / "token"
    path.write_bytes(b"s3cret\n")
    path.chmod(0o600)
    site.stop()
    id_ = await send(credentials=("token",))
    path.chmod(0o644)
    site.start()
    await waits(id_, f"credential 'token': {path} is open to others: chmod 600")
    assert site.effects("created") == []
    path.chmod(0o600)
    assert (await until_done(id_)).outcome is Outcome.SUCCEEDED


async def test_logs_are_followed_to_their_end(far, site, agent, send, at) -> None:
    site.behave(queue_s=0.3, run_s=0.3)
    id_ = await send()

    def read() -> bytes:
        return b"".join(queries.logs(far, str(id_), follow=True))

    assert await asyncio.to_thread(read) == b"hello from job-1\n"


async def test_a_site_is_checked_on_request(far, site, agent) -> None:
    await until(far.agent_socket.exists)
    report = await asyncio.to_thread(queries.check_site, far, "far")
    assert (report.state, "1g.5gb" in (report.info or "")) == ("ready", True)
    site.stop()
    report = await asyncio.to_thread(queries.check_site, far, "far")
    assert report.state == "paused"
    assert "nobody listens for far" in report.detail


async def test_an_agent_with_nothing_to_do_leaves(far, site) -> None:
    agent = Agent(far.model_copy(update={"idle_timeout_s": 0.05}))
    await asyncio.wait_for(agent.run(), 30)
    assert not far.agent_socket.exists()


def test_logs_of_a_job_that_runs_need_an_agent(far, site, frozen, send) -> None:
    id_ = asyncio.run(send())
    with pytest.raises(JobsError, match="its log is at the site and no agent answers"):
        list(queries.logs(far, str(id_)))
