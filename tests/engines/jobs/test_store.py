"""The facility's store is a registry: a job waits while it is away."""

import pytest

from offload.jobs import queries
from offload.jobs.stages import Outcome, Stage

pytestmark = pytest.mark.engines


@pytest.fixture
def store_url(running):
    return running.url


def test_a_job_waits_for_a_store_that_is_away_and_says_so(
    facility, running, until
) -> None:
    id_ = facility.submit(0)
    job = until(lambda: (j := queries.job(facility.settings, id_)).waiting_until and j)
    assert job.stage is Stage.FROZEN
    assert running.host in job.waiting
    running.start()
    job = facility.done(id_)
    assert (job.outcome, job.waiting) == (Outcome.SUCCEEDED, "")
    assert [p for p in running.requests("PUT") if "/manifests/" in p]


def test_a_store_that_refuses_is_told_and_tried_again(facility, running, until) -> None:
    running.start(readonly=True)
    id_ = facility.submit(0)
    job = until(lambda: (j := queries.job(facility.settings, id_)).waiting_until and j)
    assert job.stage is Stage.FROZEN
    running.kill()
    running.start()
    assert facility.done(id_).outcome is Outcome.SUCCEEDED


def test_what_jobs_share_is_pushed_once(facility, running) -> None:
    running.start()
    ids = [facility.submit(0) for _ in range(5)]
    for id_ in ids:
        assert facility.done(id_).outcome is Outcome.SUCCEEDED
    uploads = [p for p in running.requests("POST") if "/blobs/uploads" in p]
    store = facility.settings.snapshots / "blobs/sha256"
    assert 0 < len(uploads) <= len(list(store.iterdir()))
