"""Hands accepted pods to the scheduler: recorded first, in arrays, within its limits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from offload.interlink.status import Reason
from offload.plugins.arrays import Room, batches
from offload.plugins.errors import (
    SchedulerError,
    SchedulerLimitError,
    SchedulerRefusedError,
    SchedulerTryLaterError,
)
from offload.plugins.executor import Executor
from offload.plugins.records import Ending, Record, Stage, Submission
from offload.plugins.table import Entry, Table

FULL_S = 30.0
"""How long nothing is submitted after the scheduler took not even one job more."""
DOUBT_S = 10.0
"""How long a call of unknown outcome may still take effect."""
RECOVERY_S = 3.0
"""The same, of a call that a plugin before this one may have made."""
LONGEST_RETRY_S = 300.0


class Submitter:
    """Submits what is ready.

    Args:
        table: The pods.
        executor: Who runs them.
        clock: Unix time.
    """

    def __init__(
        self,
        table: Table,
        executor: Executor,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._executor = executor
        self._clock = clock
        self._settled_at: dict[str, float] = {}
        self._started_at = clock()
        self._largest: int | None = None
        self._full_until = 0.0

    def settled_at(self, submission: str) -> float:
        """Return from when on a query that lacks a submission's jobs is conclusive."""
        return self._settled_at.get(submission, self._started_at + RECOVERY_S)

    def made_room(self) -> None:
        """A job has ended: the scheduler may take another."""
        self._full_until = 0.0

    async def submit_ready(self) -> tuple[bool, float | None]:
        """Submit what can be submitted now.

        Returns:
            Whether anything was, and when to look again.
        """
        now = self._clock()
        ready = [e.record for e in self._table if e.record.stage is Stage.ACCEPTED]
        if not ready:
            return False, None
        if now < self._full_until:
            return False, self._full_until
        capacity = await self._executor.capacity()
        active = sum(1 for entry in self._table if entry.is_active)
        most = capacity.max_submit_jobs
        room = Room(
            array=min(capacity.max_array_size, self._largest or 10**9),
            jobs=None if most is None else most - active,
        )
        found, look_again = batches(ready, room, now)
        for records in found:
            if not await self._submit(records):
                break
        retries = [r.retry_at for r in ready if r.retry_at > now]
        times = [t for t in (look_again, *retries, self._full_until) if t and t > now]
        return bool(found), min(times, default=None)

    async def resubmit(self, id_: str) -> None:
        """Ask again for a submission of which the scheduler knows nothing.

        It keeps its id: should the first call have had an effect after all, the jobs
        of both are known as the same, and the claim lets one of them run.
        """
        submission = self._table.work.read_submission(id_)
        entries = [e for e in self._table if e.record.submission == id_]
        if submission is None:
            for entry in entries:
                self._table.save(entry, _accepted_again(entry.record))
            return
        await self._call(submission, entries)

    async def _submit(self, records: tuple[Record, ...]) -> bool:
        """Submit one batch; return whether to go on with the next."""
        first = records[0]
        submission = Submission(
            id=uuid.uuid4().hex,
            uids=tuple(record.uid for record in records),
            options=first.options,
            name=first.name,
        )
        self._table.work.save_submission(submission, self._executor.script())
        entries = []
        for task, record in enumerate(records):
            entry = self._table.get(record.uid)
            if entry is None:
                continue
            self._table.save(
                entry,
                entry.record.changed(
                    stage=Stage.SUBMITTING, submission=submission.id, task=task
                ),
            )
            entries.append(entry)
        return await self._call(submission, entries)

    async def _call(self, submission: Submission, entries: list[Entry]) -> bool:
        # Until it has returned, no query says anything about these jobs.
        self._settled_at[submission.id] = float("inf")
        folder = self._table.work.submission(submission.id)
        try:
            jobs = await self._executor.submit(submission, folder)
        except SchedulerLimitError as error:
            return self._too_many(submission, entries, str(error))
        except SchedulerRefusedError as error:
            ending = Ending(reason=Reason.REFUSED, message=f"Slurm: {error}")
            for entry in entries:
                ended = entry.record.changed(
                    stage=Stage.ENDED, ended_at=self._clock(), ending=ending
                )
                self._table.save(entry, ended)
            self._drop(submission)
            return True
        except SchedulerTryLaterError as error:
            self._later(submission, entries, str(error))
            return False
        except SchedulerError:
            self._settled_at[submission.id] = self._clock() + DOUBT_S
            return False
        self._settled_at[submission.id] = self._clock()
        for entry in entries:
            job = jobs[entry.record.task]
            taken = entry.record.changed(
                stage=Stage.SUBMITTED, job=job, refusal="", refusals=0
            )
            self._table.save(entry, taken)
        if self._largest is not None:
            self._largest *= 2
        return True

    def _too_many(
        self, submission: Submission, entries: list[Entry], words: str
    ) -> bool:
        count = len(submission.uids)
        now = self._clock()
        if count > 1:
            self._largest = count // 2
        else:
            self._full_until = now + FULL_S
        for entry in entries:
            record = _accepted_again(entry.record)
            again = record.changed(refusals=record.refusals + 1, refusal=words)
            self._table.save(entry, again)
        self._drop(submission)
        # What was left over is cut anew, and smaller, in the next pass.
        return False

    def _later(self, submission: Submission, entries: list[Entry], words: str) -> None:
        for entry in entries:
            record = _accepted_again(entry.record)
            wait_s = min(LONGEST_RETRY_S, 2.0 ** min(record.refusals, 16))
            self._table.save(
                entry,
                record.changed(
                    refusals=record.refusals + 1,
                    refusal=words,
                    retry_at=self._clock() + wait_s,
                ),
            )
        self._drop(submission)

    def _drop(self, submission: Submission) -> None:
        self._settled_at.pop(submission.id, None)
        self._table.work.forget_submission(submission.id)


def _accepted_again(record: Record) -> Record:
    return record.changed(stage=Stage.ACCEPTED, submission="", task=0)
