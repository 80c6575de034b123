"""The gateway's side of the template: keeps one alive and orders processes from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from facility.environment import describe
from facility.malloc import MALLOC
from facility.process import ProcessIdentity, boot_id

READY_TIMEOUT_S = 180
KEPT = (
    "PATH", "HOME", "USER", "LANG", "LC_", "TZ", "TMPDIR", "XDG_", "PYTHON",
    "VIRTUAL_ENV", "LD_LIBRARY_PATH", "COVERAGE_", "FACILITY_ID",
)  # fmt: skip
"""Beginnings of the variables that importing may need, and our mark."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that a process runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A scheduler or worker to be forked."""

    role: Literal["scheduler", "worker"]
    arguments: tuple[str, ...]
    """Arguments of ``dask scheduler`` or ``dask worker``."""
    environment: Mapping[str, str]
    """The whole environment; may hold the cluster's token."""
    folder: Path
    """Working folder; must belong to the user."""
    log: Path
    claim: Path
    """File that the process locks and writes its pid to."""
    user: Identity | None = None
    """Another user than ours; needs root."""
    cgroups: tuple[str, ...] = ()
    """``cgroup.procs`` files to join."""
    cpus: tuple[int, ...] = ()
    """CPUs to stay on; all if empty."""
    python: str | None = None
    """Interpreter of another environment: executed instead of forked warm."""


class TemplateError(Exception):
    """The template could not fork."""


class Template:
    """A template process, started when first needed and again when it has died."""

    def __init__(self, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._log = log
        self._ids = itertools.count()
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._socket: socket.socket | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._digest = ""

    async def warm_up(self) -> None:
        """Return when a template runs that has imported what is installed now."""
        async with self._lock:
            digest = (await asyncio.to_thread(describe)).digest
            if self._reading is not None and not self._reading.done():
                if digest == self._digest:
                    return
                self._log.info("The environment changed: a new template is started")
                await self.close()
            await self._start()
            self._digest = digest

    async def fork(self, order: Order) -> ProcessIdentity:
        """Start what is ordered and return who it is.

        Raises:
            TemplateError: it could not be forked, or the template died meanwhile.
        """
        await self.warm_up()
        assert self._writer is not None
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]]
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._send(number, order)
            reply = await answer
        except ConnectionError as error:
            raise TemplateError("the template process ended") from error
        finally:
            del self._answers[number]
        if "error" in reply:
            raise TemplateError(reply["error"])
        return ProcessIdentity(reply["pid"], reply["start_ticks"], boot_id())

    def _send(self, number: int, order: Order) -> None:
        """Hand over an order in a file that only the forked child will read.

        What the template itself had read, the tokens of one user's cluster among it,
        would be in the memory of every process forked after.
        """
        assert self._socket is not None
        file = os.memfd_create("order")
        try:
            os.write(file, json.dumps(asdict(order), default=str).encode())
            socket.send_fds(self._socket, [b"%d\n" % number], [file])
        finally:
            os.close(file)

    async def close(self) -> None:
        """End the template. Its children live on."""
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {
            # All else that root's shell had would be in the memory of everybody's
            # processes, too.
            **{k: v for k, v in os.environ.items() if k.startswith(KEPT)},
            **MALLOC,
            # Threads do not survive a fork, and locks that they hold stay locked.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.template",
                stdin=theirs.fileno(),
                env=environment,
                start_new_session=True,
            )
        self._socket = ours
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        line = await asyncio.wait_for(reader.readline(), READY_TIMEOUT_S)
        if not line:
            raise TemplateError("the template process ended while it started")
        ready = json.loads(line)
        if ready["threads"] != 1:
            self._log.warning(
                "The template has %d threads: forks may hang", ready["threads"]
            )
        self._log.info("Template %d is warm", ready["ready"])
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                reply = json.loads(line)
                answer = self._answers.get(reply["id"])
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError())
