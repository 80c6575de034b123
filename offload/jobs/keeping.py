"""Keeps the agent of one person: started, adopted, started again, ended, reaped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import time

from facility.process import ProcessIdentity, end, identify, wait_gone
from offload.jobs.people import Person, agent_command
from offload.jobs.settings import Settings
from offload.jobs.unix_sockets import listener

GRACE_S = 20.0
"""An agent ends its plugins before it ends."""
SHORTEST_S = 0.5
LONGEST_S = 60.0
STEADY_S = 20.0
"""An agent that ran for so long starts from the shortest delay again."""

_WITH_LOG = """mkdir -p "${1%/*}" && exec >>"$1" 2>&1 && shift && exec "$@\""""
"""Runs a command with its output appended to a file."""

log = logging.getLogger("facility.agents")


class Keeper:
    """Sees to it that the person's agent runs while it has something to do."""

    def __init__(self, person: Person, settings: Settings) -> None:
        self._person = person
        self._settings = settings
        self._is_wanted = False
        self._is_asked = False
        self._is_stopping = asyncio.Event()
        self._running: ProcessIdentity | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._status: int | None = None

    def wake(self, *, is_asked: bool = True) -> None:
        """Have an agent running, now or once the one that is ending has ended.

        Somebody who asks is answered also if no job is open: he may ask of a site.
        """
        self._is_wanted = True
        self._is_asked |= is_asked
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the agent and whatever plugins it may have left."""
        self._is_stopping.set()
        if self._running is not None:
            await end(self._running, grace_s=GRACE_S)
        if self._keeping is not None:
            await self._keeping
        if self._status != 0:  # one that was killed could not end them
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                child = self._start("--end-plugins")
                await asyncio.to_thread(child.wait)

    async def _keep(self) -> None:
        failures = 0
        while self._is_wanted and not self._is_stopping.is_set():
            self._is_wanted = False
            began = time.monotonic()
            status = self._status = await self._run_one()
            if status == 0:
                continue
            steady = time.monotonic() - began >= STEADY_S
            failures = 1 if steady else failures + 1
            delay_s = min(LONGEST_S, SHORTEST_S * 2.0 ** min(failures - 1, 16))
            log.warning(
                "agent of %s ended with %s; again in %.1f s",
                self._person.name,
                status,
                delay_s,
            )
            self._is_wanted = True
            try:
                await asyncio.wait_for(self._is_stopping.wait(), delay_s)
            except TimeoutError:
                continue

    async def _run_one(self) -> int | None:
        """Run one agent to its end, or watch one that a launcher before us began.

        Returns its exit status; ``None`` if only its parent knew.
        """
        socket = self._person.agent_socket(self._settings)
        adopted = listener(socket, uid=self._person.uid)
        if adopted is not None:
            log.info("agent of %s adopted: %d", self._person.name, adopted.pid)
            self._running = adopted
            await wait_gone(adopted)
            self._running = None
            return None
        is_asked, self._is_asked = self._is_asked, False
        try:
            child = self._start(*([] if is_asked else ["--if-open"]))
        except (OSError, subprocess.SubprocessError) as error:
            # He may have all the processes that he may: others' agents go on.
            log.warning("agent of %s: %s", self._person.name, error)
            self._is_asked |= is_asked
            return 1
        log.info("agent of %s started: %d", self._person.name, child.pid)
        self._running = identify(child.pid)
        if self._running is not None:
            await wait_gone(self._running)
        self._running = None
        return child.wait()

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        person = self._person
        command = agent_command(*options)
        environment = person.environment(os.environ)
        if not person.is_another:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        # Groups first, then group, then user: subprocess keeps that order. His log is
        # opened by him, so that nothing of ours is open in what is his.
        return subprocess.Popen(
            ["/bin/sh", "-c", _WITH_LOG, "agent", person.log(self._settings), *command],
            env=environment,
            cwd="/",
            user=person.uid,
            group=person.gid,
            extra_groups=person.groups,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
