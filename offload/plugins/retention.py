"""What outlives a pod, and for how long: logs, outputs, everything else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from offload.cache import SiteCache
from offload.cache.pinned import fetch_pinned
from offload.cache.removal import remove_tree
from offload.outputs import PACK
from offload.plugins.config import RetentionConfig
from offload.plugins.records import Stage
from offload.plugins.table import Entry, Table

VANISHED_S = 86400.0
"""A pod that was refused for blobs that it lacks is asked for again within that time."""


class Retention:
    """Removes what nobody needs any more.

    A pod's secrets go when it has ended; its volumes when it is deleted, too; outputs
    when they are safe at home, or are too old; logs and the record, by age only: the
    deletion of a pod does not touch them.

    Args:
        table: The pods.
        cache: Where their snapshots are.
        config: The ages.
        report: Tells who wants to know what jobs have read.
        clock: Unix time.
    """

    def __init__(
        self,
        table: Table,
        cache: SiteCache,
        config: RetentionConfig,
        report: Callable[[], object] = lambda: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._cache = cache
        self._config = config
        self._report = report
        self._clock = clock
        self._closed: set[str] = set()

    def ended(self, entry: Entry) -> None:
        """A pod has ended: its secrets and its claim on snapshots end, too."""
        uid = entry.record.uid
        self._table.work.drop_secrets(uid)
        self._cache.unpin(uid)
        self._closed.add(uid)

    async def sweep(self) -> None:
        """Look at everything that has ended, and at what those that have not lack."""
        for entry in self._table:
            if entry.record.stage is Stage.ENDED:
                if entry.record.uid not in self._closed:
                    self.ended(entry)  # a plugin before this one was killed there
                await asyncio.to_thread(self._tidy, entry)
                age_s = self._clock() - entry.record.ended_at
                if age_s > max(self._config.logs, self._keeps_outputs_s(entry)):
                    await asyncio.to_thread(
                        self._table.work.forget_pod, entry.record.uid
                    )
                    self._table.forget(entry.record.uid)
        used = {e.record.submission for e in self._table if e.is_active}
        for id_ in self._table.work.submissions():
            if id_ not in used:
                await asyncio.to_thread(self._table.work.forget_submission, id_)
        await asyncio.to_thread(
            self._cache.forget_pods, self._is_known, self._clock() - VANISHED_S
        )
        await asyncio.to_thread(self._cache.collect)
        await asyncio.to_thread(fetch_pinned, self._cache)
        await asyncio.to_thread(self._report)

    def _is_known(self, uid: str) -> bool:
        # Also one whose record this plugin cannot read.
        return self._table.work.pod(uid).path.exists()

    def _keeps_outputs_s(self, entry: Entry) -> float:
        folder = self._table.work.pod(entry.record.uid)
        has_outputs = (folder.path / PACK).exists()
        return self._config.outputs if has_outputs else 0.0

    def _tidy(self, entry: Entry) -> None:
        record = entry.record
        folder = self._table.work.pod(record.uid)
        age_s = self._clock() - record.ended_at
        if record.received or age_s > self._config.outputs:
            (folder.path / PACK).unlink(missing_ok=True)
        if entry.is_gone or age_s > self._config.outputs:
            for path in (folder.volumes, folder.root, folder.path / "run"):
                remove_tree(path)
