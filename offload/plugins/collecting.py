"""Closes the folders of pods whose job is dead: ``--collect`` of the wrapper."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from offload.plugins.node.folder import ExitCode
from offload.plugins.records import Ending

_AT_ONCE = 2
_TIMEOUT_S = 3600.0
MOST_FAILURES = 3
"""After so many the pod is closed without what could be packed of it."""


class Collector:
    """Runs the closing of pods, some at a time, each at most once at a time.

    Args:
        when_done: Called after each, with the pod's UID.
    """

    def __init__(self, when_done: Callable[[str], None]) -> None:
        self._when_done = when_done
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.failures: dict[str, int] = {}
        """How often the closing of a pod has failed."""

    def collect(self, uid: str, folder: Path, ending: Ending) -> None:
        """Begin to close a pod; nothing happens if that goes on already."""
        if uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._run(uid, folder, ending))

    async def close(self) -> None:
        """Stop; what was not closed is closed after the next start."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, uid: str, folder: Path, ending: Ending) -> None:
        try:
            async with self._places:
                code = await self._call(folder, ending)
            if code not in {ExitCode.SUCCEEDED, ExitCode.FAILED}:
                self.failures[uid] = self.failures.get(uid, 0) + 1
        finally:
            del self._tasks[uid]
            self._when_done(uid)

    async def _call(self, folder: Path, ending: Ending) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "offload.plugins.node", "--collect",
            "--reason", ending.reason, "--message", ending.message, str(folder),
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await process.wait()
        except TimeoutError:
            return -1
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
