"""One run of a container: started at most once, found again by the next wrapper."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from offload.plugins.node import shim
from offload.plugins.node.folder import (
    PodFolder,
    read_json,
    write_json,
    write_json_once,
)
from offload.plugins.node.identity import NodeProcess
from offload.plugins.node.pod import Container
from offload.plugins.node.runtimes import Launch
from offload.plugins.node.status import Ended
from offload.plugins.node.termination import lost, read_ending


@dataclass(frozen=True, slots=True)
class Run:
    """The ``number``-th run of a container in an attempt; its state is in files."""

    folder: PodFolder
    attempt: int
    container: Container
    number: int

    @property
    def path(self) -> Path:
        return self.folder.run(self.attempt) / f"{self.container.name}.{self.number}"

    @property
    def termination_log(self) -> Path:
        return self.path / "termination-log"

    @property
    def log(self) -> Path:
        return self.folder.logs / f"{self.container.name}.log"

    @property
    def shim_log(self) -> Path:
        """What the shim itself had to say: nothing, if all is well."""
        return self.path / "shim.log"

    @property
    def is_started(self) -> bool:
        return (self.path / "started").exists()

    def shim(self) -> NodeProcess | None:
        """Return the process that watches it."""
        match read_json(self.path / "started"):
            case {"shim": dict(identity)}:
                return NodeProcess.of(identity)
            case _:
                return None

    def began(self) -> float:
        match read_json(self.path / "started"):
            case {"time": int() | float() as moment}:
                return float(moment)
            case _:
                return 0.0

    def start(self, launch: Launch) -> int:
        """Start a shim for it; return its pid.

        Of several shims, whoever started them, one runs the container.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.folder.logs.mkdir(exist_ok=True)
        self.termination_log.touch()
        index = self.log.with_suffix(".index")
        spec = {
            "argv": launch.argv,
            "env": launch.environment,
            "cwd": launch.cwd,
            "arguments": launch.arguments,
            "sandboxed": launch.is_sandboxed,
            "log": str(self.log),
            "index": str(index),
        }
        write_json(self.path / "spec.json", spec, is_durable=False)
        # No pipe of ours or of whoever started us: it may outlive both.
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", shim.__file__, str(self.path)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.shim_log), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )

    def forbid(self, now: float) -> bool:
        """Make sure that it never starts; return whether that was in time.

        A shim may be on its way, of this wrapper or of one that was killed.
        """
        ours = {"shim": shim.identity(os.getpid()), "time": now}
        if not write_json_once(self.path / "started", ours):
            return False
        end = {
            "code": 128 + signal.SIGTERM,
            "asked": True,
            "started": now,
            "finished": now,
        }
        write_json(self.path / "exit.json", end)
        return True

    def ended(self, now: float, stop_reason: str | None) -> Ended | None:
        """Return how it ended; ``None`` while it runs or is about to."""
        document = read_json(self.path / "exit.json")
        if isinstance(document, dict):
            return read_ending(
                document,
                termination_log=self.termination_log,
                log=self.log,
                is_log_the_message=self.container.is_log_the_message,
                stop_reason=stop_reason,
            )
        watcher = self.shim()
        if watcher is None or watcher.is_alive():
            return None
        if (self.path / "exit.json").exists():  # written between our two looks
            return self.ended(now, stop_reason)
        self.kill_orphans()
        return lost(self.began(), now)

    def ask_to_end(self) -> None:
        """Send SIGTERM to its processes."""
        self._tell(signal.SIGUSR1)

    def kill(self) -> None:
        """Send SIGKILL to its processes, until none is left."""
        self._tell(signal.SIGUSR2)

    def _tell(self, number: signal.Signals) -> None:
        watcher = self.shim()
        if watcher is not None:
            watcher.send(number)

    def kill_orphans(self) -> None:
        """Kill what a killed shim left behind."""
        match read_json(self.path / "pid"):
            case {"container": dict(identity)}:
                process = NodeProcess.of(identity)
            case _:
                return
        if process is None or not process.is_alive():
            return
        for pid in [*shim.processes_below(process.pid), process.pid]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def current_run(folder: PodFolder, attempt: int, container: Container) -> Run:
    """Return the latest run of a container that was begun, else its first."""
    names = f"{container.name}.*"
    numbers = [
        int(path.suffix[1:])
        for path in folder.run(attempt).glob(names)
        if path.stem == container.name and path.suffix[1:].isdigit()
    ]
    return Run(folder, attempt, container, max(numbers, default=0))


def keep_previous_log(folder: PodFolder, container: Container) -> None:
    """Put the log of the run before aside; the one before that is forgotten."""
    for suffix in ("log", "index"):
        path = folder.logs / f"{container.name}.{suffix}"
        if path.exists():
            path.replace(folder.logs / f"{container.name}.previous.{suffix}")
