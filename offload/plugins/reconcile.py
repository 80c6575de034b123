"""Brings what is in line with what shall be, again and again, until it is.

Level-triggered: each pass looks at everything and does what is missing. A pass that is
killed anywhere is made good by the next one, of this process or of one after it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from facility.errors import FacilityError
from offload.plugins.collecting import MOST_FAILURES, Collector
from offload.plugins.decisions import NO_CLAIM, Decision, Seen, decide
from offload.plugins.errors import SchedulerError
from offload.plugins.executor import Executor, Job
from offload.plugins.records import Record, Stage
from offload.plugins.retention import Retention
from offload.plugins.states import Life
from offload.plugins.submitting import Submitter
from offload.plugins.table import Entry, Table

log = logging.getLogger(__name__)

SOON_S = 1.0
"""How long after a query the next one is made if something is expected."""
_FILES_S = 0.2
_FILES_PER_POD_S = 0.002
"""How often files are looked at: so that it costs little however many pods there are."""
_HOUSEKEEPING_S = 60.0
_IDLE_S = 5.0


class Reconciler:
    """The loop of a site.

    Args:
        table: The pods.
        executor: Who runs them.
        retention: What is removed, and when.
        clock: Unix time.
    """

    def __init__(
        self,
        table: Table,
        executor: Executor,
        retention: Retention,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._executor = executor
        self._retention = retention
        self._clock = clock
        self._submitter = Submitter(table, executor, clock=clock)
        self._collector = Collector(self._collected)
        self._wake = asyncio.Event()
        self._query_at = 0.0
        self._queried_at = 0.0
        self._history: dict[str, Job] = {}
        self._swept_at = clock()
        self._is_first = True
        self.problem = ""
        """Why the scheduler cannot be asked; empty if it can."""

    def wake(self, *, soon: bool = False) -> None:
        """Look at everything now; and ``soon`` at the scheduler's queue, too."""
        if soon:
            self._query_at = min(self._query_at, self._queried_at + SOON_S)
        self._wake.set()

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            self._wake.clear()
            try:
                pause_s = await self.step()
            except (FacilityError, OSError) as error:
                # A full disk, or a scheduler that is away: the next pass may do better.
                self._report(str(error))
                pause_s = SOON_S
            except Exception:
                # A slip of ours on one pod must not end the care for all the others.
                log.exception("a pass has failed; it is tried again")
                pause_s = _IDLE_S
            await self._table.announce()
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Stop; jobs go on."""
        await self._collector.close()

    async def step(self) -> float:
        """Make one pass; return after how many seconds the next one is due."""
        now = self._clock()
        for entry in self._table:
            if entry.is_active and self._table.read_files(entry):
                self._files_changed(entry)
            elif entry.record.stage is Stage.ACCEPTED:
                self._apply(entry, decide(entry.record, Seen(), entry.facts, now))
        has_submitted, look_again = await self._submitter.submit_ready()
        if self._is_query_due():
            await self._query()
        if has_submitted:
            self._query_at = min(self._query_at, self._clock() + SOON_S)
        if now - self._swept_at > _HOUSEKEEPING_S:
            self._swept_at = now
            await self._retention.sweep()
        return self._pause_s(look_again)

    def _files_changed(self, entry: Entry) -> None:
        done = entry.facts.done
        if done is not None:
            self._query_at = min(self._query_at, self._queried_at + SOON_S)

    def _is_query_due(self) -> bool:
        is_active = any(entry.is_active for entry in self._table)
        # The first one is for what a plugin before this one may have left.
        return self._is_first or (is_active and self._clock() >= self._query_at)

    async def _query(self) -> None:
        began = self._clock()
        self._queried_at = began
        self._query_at = began + self._executor.tick_s
        try:
            jobs = await self._executor.queue()
        except SchedulerError as error:
            self._report(str(error))
            return
        self._report("")
        self._is_first = False
        by_task: dict[tuple[str, int], list[Job]] = {}
        by_allocation: dict[str, Job] = {}
        for job in jobs:
            by_task.setdefault((job.submission, job.task), []).append(job)
            # An array's elements that wait bear the id of the array.
            if self._executor.has_own_allocations and job.life is not Life.WAITING:
                by_allocation[job.allocation] = job
        cancel: list[str] = []
        unsettled: set[str] = set()
        asks: set[str] = set()
        for entry in self._table:
            if not entry.is_active:
                continue
            record = entry.record
            found = by_task.pop((record.submission, record.task), [])
            claimer = by_allocation.get(entry.facts.allocation)
            if claimer is not None and claimer not in found:
                found = [*found, claimer]
            seen = Seen(
                jobs=found,
                history=self._history.get(record.job),
                is_complete=began > self._submitter.settled_at(record.submission),
            )
            self._table.read_files(entry)
            entry.queried_at = began
            decision = decide(record, seen, entry.facts, self._clock())
            cancel += decision.cancel
            asks.update(decision.asks_history)
            if decision.is_unsettled:
                unsettled.add(record.submission)
            self._apply(entry, decision)
        cancel += self._orphans(by_task)
        self._history = await self._executor.history(asks) if asks else {}
        if cancel:
            await self._executor.cancel(cancel)
            self._query_at = min(self._query_at, began + 2 * SOON_S)
        for submission in sorted(unsettled):
            await self._submitter.resubmit(submission)

    def _apply(self, entry: Entry, decision: Decision) -> None:
        record = decision.record
        uid = record.uid
        if decision.collect is not None:
            if self._collector.failures.get(uid, 0) < MOST_FAILURES:
                folder = self._table.work.pod(uid).path
                self._collector.collect(uid, folder, decision.collect)
            else:
                record = record.changed(
                    stage=Stage.ENDED, ended_at=self._clock(), ending=decision.collect
                )
        # What was asked for in the meantime is not undone.
        record = _merged(record, entry.record)
        was_open = entry.record.stage is not Stage.ENDED
        self._table.save(entry, record)
        if was_open and record.stage is Stage.ENDED:
            self._submitter.made_room()
            self._retention.ended(entry)

    def _orphans(self, unclaimed: dict[tuple[str, int], list[Job]]) -> list[str]:
        """Return jobs of ours that no pod wants; they must not go on for ever."""
        claims = {
            entry.facts.allocation
            for entry in self._table
            if entry.is_active and self._executor.has_own_allocations
        } - NO_CLAIM
        return [
            job.id
            for jobs in unclaimed.values()
            for job in jobs
            if job.life is not Life.ENDED and job.allocation not in claims
        ]

    def _collected(self, uid: str) -> None:
        entry = self._table.get(uid)
        if entry is not None:
            self._table.read_files(entry, force=True)
        self.wake(soon=True)

    def _pause_s(self, look_again: float | None) -> float:
        now = self._clock()
        active = sum(1 for entry in self._table if entry.is_active)
        pauses = [_IDLE_S]
        if active:
            pauses += [_FILES_S + active * _FILES_PER_POD_S, self._query_at - now]
        if look_again is not None:
            pauses.append(look_again - now)
        return max(0.01, min(pauses))

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem


def _merged(record: Record, latest: Record) -> Record:
    return record.changed(
        is_unwanted=latest.is_unwanted, received=latest.received or record.received
    )
