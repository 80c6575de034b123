"""Every pod of a site in memory: what it is, does, and since when.

One event loop owns it. A change of a pod's status takes the next sequence number and
wakes who waits for changes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from offload.interlink.extensions import Changes
from offload.interlink.messages import PodStatus, RetrievedPodData
from offload.interlink.pod import Pod
from offload.plugins.facts import Facts, read_facts
from offload.plugins.records import Record, Stage, WorkArea
from offload.plugins.statuses import is_final, pod_status

_RACY_NS = 2_000_000_000
"""A folder that changed so lately may change again without a new time of its own."""


@dataclass(slots=True)
class Entry:
    """One pod."""

    record: Record
    pod: Pod
    facts: Facts = field(default_factory=Facts)
    status: PodStatus | None = None
    was_gone: bool = False
    """Whether its last status was shown as that of a pod that is gone."""
    sequence: int = 0
    claimed_at: float = 0.0
    """When the claim of the attempt that has the pod now was first read."""
    queried_at: float = 0.0
    """When the query began that the record's state is from."""
    stamp: tuple[int, int] = (0, 0)
    """When folder and status folder had last changed at the last reading."""

    @property
    def is_active(self) -> bool:
        """Whether a job of it may exist."""
        return self.record.stage in {Stage.SUBMITTING, Stage.SUBMITTED}

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted and nothing of it runs any more."""
        return self.record.is_unwanted and self.record.stage is Stage.ENDED


class Table:
    """The pods of a work area.

    Args:
        work: Where they are.
        clock: Unix time.
    """

    def __init__(
        self, work: WorkArea, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.work = work
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        # Higher than anything that a plugin before this one has given out.
        self._sequence = int(clock() * 1000)
        self._changed = asyncio.Condition()
        self._has_news = False

    def load(self) -> None:
        """Read all records from disk."""
        for record in self.work.records():
            entry = Entry(record, self.work.read_pod(record.uid))
            entry.facts = read_facts(self.work.pod(record.uid))
            entry.claimed_at = self._clock()
            self._entries[record.uid] = entry
            self._show(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __contains__(self, uid: str) -> bool:
        return uid in self._entries

    def get(self, uid: str) -> Entry | None:
        return self._entries.get(uid)

    async def accept(self, accepted: list[tuple[Record, RetrievedPodData]]) -> None:
        """Take new pods in, one call after the other; durable once this has returned.

        Raises:
            OSError: the disk is full, say; then none was taken in.
        """

        def write() -> None:
            try:
                for record, data in accepted:
                    self.work.accept(record, data)
            except OSError:
                for record, _ in accepted:
                    self.work.forget_pod(record.uid)
                raise

        await asyncio.to_thread(write)
        for record, data in accepted:
            if record.uid not in self._entries:
                entry = Entry(record, data.pod)
                self._entries[record.uid] = entry
                self._show(entry)
        await self.announce()

    def save(self, entry: Entry, record: Record) -> None:
        """Replace a pod's record, on disk first; nothing is written if it is the same."""
        if record != entry.record:
            self.work.save(record)
            entry.record = record
        self._show(entry)

    def forget(self, uid: str) -> None:
        self.work.forget_pod(uid)
        self._entries.pop(uid, None)

    def read_files(self, entry: Entry, *, force: bool = False) -> bool:
        """Read what the wrapper wrote, if it may have written; return whether."""
        folder = self.work.pod(entry.record.uid)
        try:
            stamp = (
                os.stat(folder.path).st_mtime_ns,  # noqa: PTH116 - a thousand at a time
                os.stat(folder.status).st_mtime_ns,  # noqa: PTH116
            )
        except FileNotFoundError:
            return False
        if stamp == entry.stamp and not force:
            return False
        is_settled = max(stamp) < self._clock() * 1e9 - _RACY_NS
        entry.stamp = stamp if is_settled else (0, 0)
        facts = read_facts(folder)
        if facts == entry.facts:
            return False
        before, entry.facts = entry.facts, facts
        if (before.allocation, before.attempt) != (facts.allocation, facts.attempt):
            entry.claimed_at = self._clock()
        self._show(entry)
        return True

    def _show(self, entry: Entry) -> None:
        status = pod_status(
            entry.pod,
            entry.record,
            entry.facts,
            is_put_back=entry.queried_at > entry.claimed_at,
        )
        if status != entry.status or entry.is_gone != entry.was_gone:
            entry.status, entry.was_gone = status, entry.is_gone
            self._sequence += 1
            entry.sequence = self._sequence
            self._has_news = True

    async def announce(self) -> None:
        """Wake who waits, if a status has changed."""
        if self._has_news:
            self._has_news = False
            async with self._changed:
                self._changed.notify_all()

    async def changes(self, since: int, timeout_s: float) -> Changes:
        """Return what changed after ``since``, waiting for the first change.

        A ``since`` that was never given out is answered as 0: with every pod.
        """
        if since > self._sequence:
            since = 0
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._sequence > since)
        except TimeoutError:
            pass
        news = [entry for entry in self._entries.values() if entry.sequence > since]
        news.sort(key=lambda entry: entry.sequence)
        return Changes(
            sequence=self._sequence,
            pods=tuple(
                e.status for e in news if e.status is not None and not e.is_gone
            ),
            gone=tuple(e.record.uid for e in news if e.is_gone),
        )

    def is_final(self, entry: Entry) -> bool:
        """Whether a pod's status will not change any more."""
        return is_final(entry.record, entry.facts)
