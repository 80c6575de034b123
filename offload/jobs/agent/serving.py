"""One agent from its start to its end: lock, socket, sites, jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from offload.jobs.agent.api import Streams, application
from offload.jobs.agent.carrier import Carrier
from offload.jobs.agent.effects import Effects
from offload.jobs.agent.sites import Site, sites_of
from offload.jobs.agent.watching import Watch
from offload.jobs.cleaning import clean
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.jobs.unix_sockets import listening

IDLE_LOOK_S = 1.0
RESYNC_S = 30.0
"""The ledger is read as a whole so often, should a call to wake up have been lost."""
CLEAN_FIRST_S = 600.0
CLEAN_EVERY_S = 86400.0
"""Snapshots that no job needs any more are deleted so often."""

log = logging.getLogger("facility.agent")


class _Server(uvicorn.Server):
    """Leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Agent:
    """Carries every open job until it is told to stop or has had nothing to do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.ledger)
        self._sites: dict[str, Site] = sites_of(settings, self._ledger, self._is_back)
        self._effects = Effects(settings, self._ledger, self._sites)
        self._carrier = Carrier(
            self._ledger, self._sites, self._effects, self._something_at
        )
        self._watches = {
            name: Watch(site, self._ledger, self._carrier.add)
            for name, site in self._sites.items()
        }
        self._streams = Streams()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> bool:
        """Serve until :meth:`stop`, or until there was nothing to do for long.

        Returns whether somebody has handed a job over in the very last moment.
        """
        with listening(self._settings.agent_socket) as sock:
            app = application(
                self._settings,
                self._ledger,
                self._sites,
                self._woken.set,
                self._streams,
            )
            server = _Server(
                uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
            )
            self._tasks = [
                asyncio.create_task(server.serve(sockets=[sock])),
                asyncio.create_task(self._carrier.run()),
                asyncio.create_task(self._look()),
                asyncio.create_task(self._clean()),
                asyncio.create_task(self._effects.publishing.run()),
                *(asyncio.create_task(w.run()) for w in self._watches.values()),
                *(asyncio.create_task(s.check()) for s in self._sites.values()),
            ]
            log.info("agent %d is ready", os.getpid())
            await self._until_idle_or_stopped()
            log.info("agent %d stops", os.getpid())
            server.should_exit = True
            await self._close()
        is_left = bool(self._ledger.open_jobs()) and not self._stop.is_set()
        self._ledger.close()
        return is_left

    def stop(self) -> None:
        """Ask for the end; the ledger knows where everything is."""
        self._stop.set()

    def _something_at(self, site: str) -> None:
        self._watches[site].wanted()

    def _is_back(self, site: str) -> None:
        log.info("jobs of site %s go on", site)
        self._woken.set()

    async def _look(self) -> None:
        while True:
            try:
                await self._carrier.look_at_all()
            except Exception:  # a full disk, for one: jobs are looked for again
                log.exception("the ledger cannot be read")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), RESYNC_S)
            self._woken.clear()

    async def _clean(self) -> None:
        await asyncio.sleep(CLEAN_FIRST_S)  # who has just started has better to do
        while True:
            try:
                done = await asyncio.to_thread(clean, self._settings)
            except Exception:  # jobs matter more
                log.exception("snapshots cannot be cleaned up")
            else:
                log.info("deleted %d snapshots (%d bytes)", done.images, done.size)
            try:
                gone = await asyncio.to_thread(
                    self._effects.publishing.remove_old_tags, time.time()
                )
            except Exception as error:  # noqa: BLE001 - tomorrow, then
                log.info("published images stay in the registry: %s", error)
            else:
                log.info("removed %d published images from the registry", gone)
            await asyncio.sleep(CLEAN_EVERY_S)

    async def _until_idle_or_stopped(self) -> None:
        loop = asyncio.get_running_loop()
        look_s = min(IDLE_LOOK_S, self._settings.idle_timeout_s)
        busy = loop.time()
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), look_s)
            if not self._carrier.is_idle or self._streams.open:
                busy = loop.time()
            if loop.time() - busy > self._settings.idle_timeout_s:
                log.info("nothing to do")
                return

    async def _close(self) -> None:
        server, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._carrier.close()
        await self._effects.close()
        await asyncio.gather(*(s.close(end_plugin=True) for s in self._sites.values()))
        await server
