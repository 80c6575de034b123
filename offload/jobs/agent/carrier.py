"""The shell around :mod:`offload.jobs.decisions`: has done what is decided, in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from facility.errors import FacilityError
from offload.interlink import (
    ImpossibleError,
    MissingBlobsError,
    NoSpaceError,
    NotReadyError,
    PluginUnreachableError,
)
from offload.jobs import decisions
from offload.jobs.agent.backoff import Backoff
from offload.jobs.agent.effects import Effects
from offload.jobs.agent.performing import Performer, WaitingError
from offload.jobs.agent.sites import Site
from offload.jobs.agent.workqueue import WorkQueue
from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.stages import Outcome, Stage
from offload.link import PausedError
from offload.snapshot import DamagedError, MissingError

ASK_AGAIN_S = 30.0
"""A job that was asked to end and has not is asked again."""
SETTLE_S = 0.1
"""Changes of one of many equal jobs are looked at together."""
SAFETY_S = 60.0
"""A job that waits for a site is looked at after so long in any case."""

PACKING_S = 0.02
"""Outputs that are not packed yet are asked for again after so long, then later."""

_CREATE = decisions.Create.__name__

log = logging.getLogger("facility.agent")


@dataclass(slots=True)
class _Work:
    """What is being done for one job."""

    running: dict[Hashable, asyncio.Task[None]] = field(default_factory=dict)
    noted: str = ""
    """What it was last recorded to wait for."""
    asked_to_end: dict[int, float] = field(default_factory=dict)


class Carrier:
    """Carries every open job of a ledger.

    Args:
        ledger: The jobs.
        sites: By name.
        effects: What can be done.
        on_site: Called with a site's name when something of ours is there.
    """

    def __init__(
        self,
        ledger: Ledger,
        sites: Mapping[str, Site],
        effects: Effects,
        on_site: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._sites = sites
        self._performer = Performer(ledger, sites, effects)
        self._on_site = on_site
        self._queue: WorkQueue[JobId] = WorkQueue()
        self._backoff = Backoff(time.monotonic)
        self._has_looked = False
        self._work: dict[JobId, _Work] = {}
        self._followers: dict[JobId, set[JobId]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no job is open, as far as it knows; never before it has looked."""
        return self._has_looked and not self._work

    def add(self, job: JobId, delay_s: float = 0.0) -> None:
        """Have a job looked at."""
        self._work.setdefault(job, _Work())
        self._queue.add(job, delay_s)

    async def look_at_all(self) -> None:
        """Have every open job of the ledger looked at."""
        for job in await asyncio.to_thread(self._ledger.open_jobs):
            self.add(job)
        self._has_looked = True

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            job = await self._queue.get()
            try:
                await self._reconcile(job)
            except Exception:
                log.exception("job %s cannot be looked at", job)
                self._queue.add(job, self._backoff.failed(job))
            else:
                self._backoff.worked(job)

    async def close(self) -> None:
        """Stop everything that is being done; the ledger knows where."""
        self._queue.close()
        tasks = [t for work in self._work.values() for t in work.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reconcile(self, id_: JobId) -> None:
        work = self._work.setdefault(id_, _Work())
        view = await asyncio.to_thread(self._view, id_)
        if view.job.is_done:
            for follower in self._followers.pop(id_, ()):
                self._queue.add(follower)
        if any(e.stage in {Stage.QUEUED, Stage.RUNNING} for e in view.elements):
            assert view.job.site is not None
            self._on_site(view.job.site)
        for action in decisions.decide(view):
            match action:
                case decisions.Await(words):
                    for other in view.before:
                        self._followers.setdefault(other, set()).add(id_)
                    await self._note(id_, work, words)
                case decisions.Finish():
                    await self._performer.perform(view, action)
                    self._queue.add(id_)
                case decisions.Close() if work.running:
                    pass  # they look again when they are over
                case decisions.Close():
                    await self._performer.perform(view, action)
                    del self._work[id_]
                case _:
                    self._begin(view, work, action)

    def _view(self, id_: JobId) -> decisions.View:
        job = self._ledger.job(id_)
        before = {}
        if job.stage is Stage.FROZEN:
            for name in job.spec.after:
                before[JobId(int(name))] = self._ledger.job(JobId(int(name)))
        return decisions.View(job, self._ledger.unsettled(id_), before)

    def _begin(
        self, view: decisions.View, work: _Work, action: decisions.Action
    ) -> None:
        id_ = view.job.id
        if isinstance(action, decisions.End):
            action = self._not_asked_yet(work, action)
            self._queue.add(id_, ASK_AGAIN_S)
            if not action.indexes:
                return
        key: Hashable = type(action).__name__
        if isinstance(action, decisions.Return):
            key = (key, action.index)
        if key in work.running:
            return
        if isinstance(action, decisions.Withdraw) and _CREATE in work.running:
            return  # what is on its way there would arrive after it; it is looked at then
        wait_s = self._backoff.left_s((id_, key))
        if wait_s:
            self._queue.add(id_, wait_s)
            return
        task = asyncio.create_task(self._perform(view, work, action, key))
        work.running[key] = task

    def _not_asked_yet(self, work: _Work, action: decisions.End) -> decisions.End:
        now = time.monotonic()
        due = tuple(
            index
            for index in action.indexes
            if now >= work.asked_to_end.get(index, 0.0)
        )
        return decisions.End(action.site, due)

    async def _perform(
        self,
        view: decisions.View,
        work: _Work,
        action: decisions.Action,
        key: Hashable,
    ) -> None:
        id_ = view.job.id
        delay_s = SETTLE_S if view.job.spec.count > 1 else 0.0
        site = self._sites.get(getattr(action, "site", ""))
        client = None if site is None else site.connected
        try:
            await self._performer.perform(view, action)
        except Exception as error:  # noqa: BLE001 - kept, told, and tried again
            if site is not None and isinstance(error, PluginUnreachableError):
                await site.lost(client, error)
            delay_s = await self._failed(view, work, action, key, error)
        else:
            self._backoff.worked((id_, key))
            if isinstance(action, decisions.End):
                again = time.monotonic() + ASK_AGAIN_S
                work.asked_to_end.update(dict.fromkeys(action.indexes, again))
        finally:
            work.running.pop(key, None)
        self._queue.add(id_, delay_s)

    async def _failed(
        self,
        view: decisions.View,
        work: _Work,
        action: decisions.Action,
        key: Hashable,
        error: Exception,
    ) -> float:
        """Record why an action failed; return the seconds until the next try."""
        id_ = view.job.id
        name = getattr(action, "site", "")
        match error:
            case PausedError():
                until = error.paused.until
                await self._note(
                    id_,
                    work,
                    f"site {name}: {error.paused.reason}",
                    None if until is None else until.timestamp(),
                )
                # The site says when it is back.
                return SAFETY_S
            case PluginUnreachableError():
                return self._backoff.failed((id_, key))
            case NotReadyError():
                return self._backoff.failed((id_, key), PACKING_S)
            case MissingBlobsError():
                self._sites[name].known.clear()
                await asyncio.to_thread(
                    self._ledger.advance, id_, Stage.TRANSFERRED, Stage.PLACED
                )
                return self._backoff.failed((id_, key))
            case ImpossibleError() if isinstance(action, decisions.Create):
                await self._performer.finish(
                    id_, action.indexes, Outcome.REFUSED, error.detail
                )
                return 0.0
            case MissingError() | DamagedError() if isinstance(
                action, decisions.Store | decisions.Transfer
            ):
                await self._performer.finish(
                    id_, view.indexes, Outcome.FAILED, str(error)
                )
                return 0.0
            case NoSpaceError():
                words = f"site {name} has no room: {error.detail}"
            case WaitingError() | FacilityError() | OSError():
                words = str(error)
            case _:
                words = f"unexpected {type(error).__name__}: {error}"
                log.error("job %s, %s", id_, action, exc_info=error)
        delay_s = self._backoff.failed((id_, key))
        await self._note(id_, work, words, time.time() + delay_s)
        return delay_s

    async def _note(
        self, id_: JobId, work: _Work, words: str, until: float | None = None
    ) -> None:
        if words == work.noted and until is None:
            return
        if words != work.noted:
            log.info("job %s waits: %s", id_, words)
        work.noted = words
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._ledger.note, id_, words, until)
