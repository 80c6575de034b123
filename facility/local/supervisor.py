"""The shell around :mod:`facility.local.core`: processes, clocks, files and signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from facility.local import core, readiness
from facility.local.ledger import Ledger, ProcessEntry
from facility.local.logs import log_file, open_log, rotate
from facility.local.table import ProcessSpec, environment_of
from facility.marked import end_marked, end_session, marked_processes
from facility.process import ProcessIdentity, end, identify, wait_gone
from facility.runtime import Runtime

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL of a process that is not adopted."""
ROTATION_S = 2.0
"""Between two looks at the sizes of the log files."""

log = logging.getLogger("facility.supervisor")


class Supervisor:
    """Keeps the processes of a table running until it is told to stop."""

    def __init__(self, runtime: Runtime, table: tuple[ProcessSpec, ...]) -> None:
        self._runtime = runtime
        self._table = {spec.name: spec for spec in table}
        self._core = core.Supervision(
            tuple(self._table),
            {spec.name: spec.after for spec in table if spec.after is not None},
        )
        self._events: asyncio.Queue[core.Event] = asyncio.Queue()
        self._identities: dict[str, ProcessIdentity] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Events carry the monotonic clock, the ledger the time of day.
        self._epoch = time.time() - time.monotonic()
        self._started = time.time()
        self._saved: Ledger | None = None
        self._ledger_file = runtime.run_dir / "processes.json"

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> str:
        """Supervise until SIGTERM or SIGINT; return why it gave up (empty: it did not).

        When it returns nothing that bears the facility's mark is left.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        rotation = self._spawn(self._rotate_logs())
        alive = await self._take_over()
        self._events.put_nowait(core.Begin(time.monotonic(), frozenset(alive)))
        told = False
        while self._core.phase is not core.Phase.STOPPED:
            event = await self._events.get()
            if not isinstance(event, core.Answered | core.Begin):
                log.info("%s", event)
            for action in self._core.handle(event):
                self._perform(action)
            self._save()
            if self._core.phase is core.Phase.READY and not told:
                told = True
                on_ready()
        rotation.cancel()
        return self._core.error

    def stop(self) -> None:
        """Ask for the end; further calls change nothing."""
        self._events.put_nowait(core.StopAsked(time.monotonic()))

    def _perform(self, action: core.Action) -> None:
        match action:
            case core.Start(name):
                self._start(name)
            case core.Adopt(name):
                log.info("adopt %s: %s", name, self._identities[name])
                self._attend(name)
            case core.Wake(name, delay):
                event = core.Due(time.monotonic() + delay, name)
                asyncio.get_running_loop().call_later(
                    delay, self._events.put_nowait, event
                )
            case core.End(name):
                # Without identity it has ended, and its Exited is on the way.
                if name in self._identities:
                    grace_s = self._table[name].grace_s
                    self._spawn(self._end(self._identities[name], grace_s))
            case core.Sweep():
                self._spawn(self._sweep())
            case core.Finish():
                pass
            case _:
                assert_never(action)

    def _start(self, name: str) -> None:
        spec = self._table[name]
        output = open_log(log_file(self._runtime.log_dir, name))
        try:
            # Between here and _save() the process is found by its mark and argv only:
            # see _take_over().
            child = subprocess.Popen(
                spec.argv,
                env=environment_of(self._runtime) | spec.env,
                cwd=self._runtime.state_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            self._events.put_nowait(core.Exited(time.monotonic(), name, str(error)))
            return
        finally:
            os.close(output)
        self._children[name] = child
        identity = identify(child.pid)
        if identity is None:  # it has ended already
            self._events.put_nowait(
                core.Exited(time.monotonic(), name, self._reap(name))
            )
            return
        self._identities[name] = identity
        self._attend(name)

    def _attend(self, name: str) -> None:
        """Watch a process until it ends."""

        def answered() -> None:
            self._events.put_nowait(core.Answered(time.monotonic(), name))

        def silent() -> None:
            self._events.put_nowait(core.Silent(time.monotonic(), name))

        watch = readiness.watch(self._table[name], answered, silent)
        self._watches[name] = self._spawn(watch)
        self._spawn(self._await_exit(name, self._identities[name]))

    async def _await_exit(self, name: str, identity: ProcessIdentity) -> None:
        await wait_gone(identity)
        self._watches.pop(name).cancel()
        # Its own helpers hold its ports; a successor could not bind them.
        await end_session(identity)
        del self._identities[name]
        reason = self._reap(name)
        self._events.put_nowait(core.Exited(time.monotonic(), name, reason))

    def _reap(self, name: str) -> str:
        child = self._children.pop(name, None)
        if child is None:
            return "ended (its exit status went to its first supervisor)"
        status = child.wait()
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"exit status {status}"

    async def _end(self, identity: ProcessIdentity, grace_s: float = GRACE_S) -> None:
        await end(identity, grace_s=grace_s)

    async def _sweep(self) -> None:
        left = await end_marked(self._runtime.id)
        for process in left:
            log.error("cannot be ended: %s", process)
        self._events.put_nowait(core.Swept(time.monotonic()))

    async def _take_over(self) -> set[str]:
        """Adopt what a killed predecessor left running; end what does not fit."""
        ledger = Ledger.load(self._ledger_file)
        for entry in ledger.processes if ledger else ():
            spec = self._table.get(entry.name)
            if entry.identity is None or not entry.identity.is_alive():
                continue
            if spec is not None and spec.digest == entry.digest:
                self._identities[entry.name] = entry.identity
            else:
                log.info("end %s, another command: %s", entry.name, entry.identity)
                await self._end(entry.identity)
        # Killed between starting a process and recording it: the mark tells.
        for process in marked_processes(self._runtime.id):
            if not process.is_ours:
                continue
            for name, spec in self._table.items():
                if not process.is_session_leader or process.argv != spec.argv:
                    continue
                if self._identities.setdefault(name, process.identity) != (
                    process.identity
                ):
                    log.info("end %s, which runs twice: %s", name, process.identity)
                    await self._end(process.identity)
        return set(self._identities)

    async def _rotate_logs(self) -> None:
        storage = self._runtime.spec.storage
        while True:
            for name in (*self._table, "supervisor"):
                path = log_file(self._runtime.log_dir, name)
                # A full disk must not end the supervisor.
                with contextlib.suppress(OSError):
                    rotate(path, max_bytes=storage.log_size, count=storage.log_count)
            await asyncio.sleep(ROTATION_S)

    def _save(self) -> None:
        me = identify(os.getpid())
        assert me is not None
        ledger = Ledger(
            id=self._runtime.id,
            url=self._runtime.public_url,
            supervisor=me,
            phase=self._core.phase,
            error=self._core.error,
            started=self._started,
            processes=tuple(self._entry(spec) for spec in self._table.values()),
        )
        if ledger == self._saved:
            return
        try:
            ledger.save(self._ledger_file)
            self._saved = ledger
        except OSError:
            # A full disk: the mark still tells which processes are ours.
            log.exception("cannot write %s", self._ledger_file)

    def _entry(self, spec: ProcessSpec) -> ProcessEntry:
        record = self._core.records[spec.name]
        ready = record.first_ready
        return ProcessEntry(
            name=spec.name,
            state=record.state,
            identity=self._identities.get(spec.name),
            digest=spec.digest,
            url=spec.ready_urls[-1],
            since=record.since + self._epoch,
            first_ready=None if ready is None else ready + self._epoch,
            restarts=record.restarts,
            error=record.error,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the supervisor failed", exc_info=error)
