"""Which snapshots a person's jobs still need; the others go after a while."""

from __future__ import annotations

import time

from offload.jobs import queries
from offload.jobs.settings import Settings
from offload.snapshot import Collected, LocalStore, collect_garbage
from offload.snapshot.images.garbage import GRACE_S


def clean(settings: Settings, *, retention_s: float | None = None) -> Collected:
    """Delete snapshots that no job has needed for so long.

    Those of open jobs stay, whatever their age. Waits for freezes under way.

    Args:
        settings: Of the facility.
        retention_s: Since the job ended, or since it was frozen if there was no job;
            what the facility says if ``None``. What is younger than an hour stays in
            any case: its job may just be being recorded.

    Raises:
        DamagedError: a snapshot that is needed cannot be read; nothing was deleted.
    """
    kept_s = settings.retention_s if retention_s is None else retention_s
    oldest = time.time() - kept_s
    keep = {
        job.image
        for job in queries.jobs(settings)
        if not job.is_done or max(job.times.values()) > oldest
    }
    with queries.opened(settings) as ledger:
        keep |= {each.source for each in ledger.publications.open()}
    store = LocalStore(settings.snapshots)
    return collect_garbage(store, keep, grace_s=max(GRACE_S, kept_s))
