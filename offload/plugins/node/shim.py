"""Stands between the wrapper and one run of a container: starts it once, says its end.

Run as a program, ``python -I -S shim.py FOLDER``: no variable and no package of a site
changes what starts every container, and it finds nothing else of ours, so it is one file.
It outlives the wrapper, writes the log's index, and is the parent of whatever the
container leaves behind (``PR_SET_CHILD_SUBREAPER``).

In FOLDER (one per run of a container):

=============  =========================================================================
``spec.json``  what to run (from the wrapper; gone once the container has started)
``started``    its own and the container's pid, made with ``link``: of several shims in
               one folder, one runs the container, so it runs once or not at all
``exit.json``  how it ended: ``code``, ``signal``, ``error``, ``oom``, times
=============  =========================================================================

SIGTERM and its like do nothing here: a scheduler sends them to every process of a job,
and only the wrapper knows whether and how the pod is to end. It sends SIGUSR1 (SIGTERM
for all processes of the container) and SIGUSR2 (SIGKILL for them).
"""
# pathlib takes as long to import as all of this program.
# ruff: noqa: PTH105, PTH108, PTH120, PTH123, PTH208

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

INDEX_FIRST_S, INDEX_LATER_S, LATER_S = 0.1, 1.0, 300.0
"""How precisely a log knows the time of a line: first, and after five minutes."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)


def boot_id() -> str:
    """Return the kernel's name for the time since this machine was started."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def identity(pid: int) -> dict[str, int | str] | None:
    """Name a process for ever: pid, start (proc(5), field 22) and boot.

    ``None`` for nobody and for a zombie.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return {"pid": pid, "start_ticks": int(fields[19]), "boot": boot_id()}


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The command, in parentheses, may hold spaces and parentheses itself.
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def processes_below(ancestor: int) -> list[int]:
    """Return the pids below a process, parents before their children."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if fields is not None and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [ancestor]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def oom_kills() -> int:
    """Count the kernel's out-of-memory kills in the control groups that hold us.

    Source: the kernel's cgroup-v1/memory.rst (``memory.oom_control``) and cgroup-v2.rst
    (``memory.events``), ``oom_kill`` in both.
    """
    count = 0
    try:
        with open("/proc/self/cgroup") as file:
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, name = "/sys/fs/cgroup", "memory.events"
        elif "memory" in controllers.split(","):
            base, name = "/sys/fs/cgroup/memory", "memory.oom_control"
        else:
            continue
        while group not in {"", "/"}:
            with suppress(OSError, ValueError), open(f"{base}{group}/{name}") as file:
                events = dict(row.split() for row in file.read().splitlines())
                count += int(events.get("oom_kill", 0))
            group = os.path.dirname(group)
    return count


class Index:
    """Writes how long the log was at which time."""

    def __init__(self, path: str, log: int) -> None:
        self._log = log
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(log).st_size

    def note(self) -> None:
        """Add a line if the log has grown."""
        size = os.fstat(self._log).st_size
        if size != self._size:
            self._size = size
            # A full disk: the container goes on, its lines have a later time.
            with suppress(OSError):
                os.write(self._file, f"{size} {time.time():.3f}\n".encode())


class Container:
    """The processes below this shim that are one run of a container."""

    def __init__(self, spec: dict) -> None:  # type: ignore[type-arg]  # JSON
        self.argv: list[str] = spec["argv"]
        self.environment: dict[str, str] = spec["env"]
        self.cwd: str = spec["cwd"]
        self.arguments: str = spec.get("arguments", "")
        self.is_sandboxed: bool = spec.get("sandboxed", False)
        self.log = os.open(
            spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self.reports: int | None = None
        self.failure = -1
        self.pid = -1
        self.status: int | None = None
        self.told: set[int] = set()
        """Who was asked to end."""

    def start(self) -> None:
        """Fork and execute it, in a session of its own."""
        failure, failure_end = os.pipe()
        argv = self.argv
        inherited: list[int] = []
        if self.is_sandboxed:
            # Mounts and what is run are told by a file: a command line is for all eyes.
            arguments = _memory_file(self.arguments.encode("utf-8", "surrogateescape"))
            self.reports, reports_end = os.pipe()
            inherited = [arguments, reports_end]
            argv = [argv[0], "--json-status-fd", str(reports_end),
                    "--args", str(arguments), *argv[1:]]  # fmt: skip
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                for number in _DEAF_TO | {signal.SIGUSR1, signal.SIGUSR2}:
                    signal.signal(number, signal.SIG_DFL)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(self.log, 1)
                os.dup2(self.log, 2)
                for handle in inherited:
                    os.set_inheritable(handle, True)
                os.chdir(self.cwd)
                # Ours are private; what the person's program makes goes home.
                os.umask(0o022)
                os.execvpe(argv[0], argv, self.environment)  # noqa: S606
            except OSError as error:
                what = error.filename or argv[0]
                os.write(failure_end, f"{what}: {error.strerror}".encode())
            finally:
                os._exit(127)
        os.close(failure_end)
        for handle in inherited:
            os.close(handle)
        self.failure = failure

    def error(self) -> str:
        """Return why it could not be executed, if it could not."""
        with os.fdopen(self.failure, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def reap(self) -> bool:
        """Take the ends of processes; return whether the container has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self.status is not None
            if pid == 0:
                return self.status is not None
            if pid == self.pid:
                self.status = status

    def members(self) -> list[int]:
        """Return the container's processes, without those of the sandbox itself."""
        pids = processes_below(os.getpid())
        if not self.is_sandboxed:
            return pids
        return [pid for pid in pids if not _is_sandbox(pid)]

    def terminate(self) -> None:
        """Ask every process of the container to end."""
        self._terminate(self.members())

    def terminate_orphans(self) -> None:
        """Ask those to end that were begun when their parents were told, too late.

        Others that began since then are left alone: they save what there is to save.
        """
        if not self.told:
            return
        adopters = {os.getpid(), *filter(_is_sandbox, processes_below(os.getpid()))}
        self._terminate(
            pid
            for pid in self.members()
            if pid not in self.told and _parent(pid) in adopters
        )

    def _terminate(self, pids: Iterable[int]) -> None:
        for pid in pids:
            self.told.add(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)

    def destroy(self) -> None:
        """Kill whatever is left below this shim, until nothing is."""
        while pids := processes_below(os.getpid()):
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            time.sleep(0.005)
        self.reap()

    def result(self) -> tuple[int, int]:
        """Return exit code and signal (0: none), as the container's own process had."""
        code = os.waitstatus_to_exitcode(self.status or 0)
        if code < 0:
            return 128 - code, -code
        return code, 0

    def is_headless(self) -> bool:
        """Whether a scheduler's signal ended the sandbox's outer process only."""
        return self.is_sandboxed and os.WIFSIGNALED(self.status or 0)

    def sandbox_error(self) -> bool:
        """Whether the sandbox could not be set up: it then reports no exit code."""
        if self.reports is None:
            return False
        with os.fdopen(self.reports, "rb") as file:
            reports = file.read()
        return self.result()[1] == 0 and b'"exit-code"' not in reports


def _memory_file(data: bytes) -> int:
    handle = os.memfd_create("arguments", 0)
    os.write(handle, data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[1])


def _is_sandbox(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "bwrap"
    except OSError:
        return False


_DEAF_TO = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT}
_ASKED: list[signal.Signals] = []


def _asked(number: int, _frame: object) -> None:
    _ASKED.append(signal.Signals(number))


def _listen() -> int:
    """Return a descriptor that becomes readable with every signal."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, _asked)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def _adopt_orphans() -> None:
    # ctypes costs 5 ms of import and nothing else in Python knows prctl.
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _write(path: str, document: object, *, is_durable: bool) -> None:
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w") as file:
        json.dump(document, file)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(draft, path)


def _claim(folder: str) -> bool:
    """Take the run: of several shims in one folder, one succeeds."""
    draft = f"{folder}/.started.{os.getpid()}"
    with open(draft, "w") as file:
        json.dump({"shim": identity(os.getpid()), "time": time.time()}, file)
    try:
        os.link(draft, f"{folder}/started")
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def _wait(container: Container, index: Index, reader: int) -> bool:
    """Wait for the container's end; return whether it was asked to end."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    began = time.monotonic()
    is_ending = False
    while not container.reap():
        age = time.monotonic() - began
        poll.poll(1000 * (INDEX_FIRST_S if age < LATER_S else INDEX_LATER_S))
        with suppress(BlockingIOError):
            os.read(reader, 4096)
        index.note()
        while _ASKED:
            if _ASKED.pop(0) == signal.SIGUSR1:
                is_ending = True
                container.terminate()
            else:
                container.destroy()
    if is_ending or container.is_headless():
        # All were told to end, and one who saves its state may take longer than the
        # shell that started it.
        is_ending = True
        _linger(container, index, poll, reader)
    return is_ending


def _linger(container: Container, index: Index, poll: select.poll, reader: int) -> None:
    while container.members():
        # The sandbox's outer process may be gone before anybody asked.
        while _ASKED:
            if _ASKED.pop(0) == signal.SIGUSR2:
                return
            container.terminate()
        container.terminate_orphans()
        poll.poll(20)
        with suppress(BlockingIOError):
            os.read(reader, 4096)
        container.reap()
        index.note()


def main(folder: str) -> int:
    """Run the container of a folder, if nobody has; return when it has ended."""
    # Not one of those whom a signal to the batch script's group reaches.
    with suppress(PermissionError):
        os.setsid()
    reader = _listen()
    _adopt_orphans()
    with open(f"{folder}/spec.json") as file:
        spec = json.load(file)
    if not _claim(folder):
        return 0
    os.unlink(f"{folder}/spec.json")  # it holds the values of secrets
    kills = oom_kills()
    container = Container(spec)
    index = Index(spec["index"], container.log)
    began = time.time()
    container.start()
    _write(f"{folder}/pid", {"container": identity(container.pid)}, is_durable=False)
    is_ending = _wait(container, index, reader)
    finished = time.time()
    container.destroy()
    index.note()
    code, number = container.result()
    error = container.error()
    _write(
        f"{folder}/exit.json",
        {
            "code": code,
            "signal": number,
            "error": error,
            "sandbox_error": not error and container.sandbox_error(),
            "asked": is_ending,
            "oom": code != 0 and oom_kills() > kills,
            "started": began,
            "finished": finished,
        },
        is_durable=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
