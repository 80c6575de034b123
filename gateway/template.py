"""A warm process from which schedulers and workers are forked.

To import Dask and the analysis packages takes seconds of CPU; to fork a process that
has imported them takes milliseconds. This program imports once, then forks on
request. It is single-threaded, so a fork is safe, and it holds no secret of its own:
what a child needs comes with the request, over a socket that only the gateway holds
(file descriptor 0). When the gateway ends, the socket closes and the template ends;
its children live on.

One request is a number on a line, with a file descriptor: a file that holds a JSON
object (:class:`gateway.warm.Order`) and is read by the child alone. It is answered by
``{"id", "pid", "start_ticks"}`` or ``{"id", "error"}``.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = (
    "distributed.cli.dask_scheduler",
    "distributed.cli.dask_worker",
    "distributed.dashboard.scheduler",
    "distributed.dashboard.worker",
    "distributed.diagnostics.websocket",
    "distributed.http.health",
    "distributed.http.proxy",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.scheduler.prometheus",
    "distributed.http.statics",
    "distributed.http.worker.prometheus",
    "distributed.nanny",
    "dask_gateway.scheduler_preload",
    "gateway.preload_scheduler",
    "gateway.preload_worker",
    "numpy.random",
    "tornado.platform.asyncio",
    "awkward",
    "uproot",
    "hist",
    "facility.columnar",
)
"""What children need sooner or later. Those that are not installed are left out."""

REFUSED = 78
"""Exit status of a child that could not become what was asked (EX_CONFIG)."""


def main() -> None:
    """Serve requests on file descriptor 0 until it closes."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that the children's collector leaves the shared pages shared
    threads = len(list(Path("/proc/self/task").iterdir()))
    _send(control, {"ready": os.getpid(), "threads": threads})
    _serve(control)


def _serve(control: socket.socket) -> None:
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    inherited = (control.fileno(), wake_read, wake_write, selector.fileno())
    while True:
        for key, _ in selector.select():
            if key.fd == wake_read:
                os.read(wake_read, 4096)
                _reap()
                continue
            # unix(7): one call returns the data of one descriptor at most.
            line, orders, _, _ = socket.recv_fds(control, 64, 1)
            if not line:
                return
            number = int(line)
            try:
                pid = os.fork()
            except OSError as error:
                os.close(orders[0])
                _send(control, {"id": number, "error": str(error)})
                continue
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for end in inherited:
                    os.close(end)
                _become(orders[0])
            os.close(orders[0])
            ticks = _start_ticks(pid)
            _send(control, {"id": number, "pid": pid, "start_ticks": ticks})


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start_ticks(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[19])


def _become(file: int) -> NoReturn:
    """Turn this forked child into the process that was ordered. Never returns."""
    try:
        order = _read(file)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        prepare(order)
        status = _run(order)
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - it must not return to the loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        status = REFUSED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _read(file: int) -> dict[str, Any]:
    with os.fdopen(file, "rb") as stream:
        stream.seek(0)
        order: dict[str, Any] = json.load(stream)
    return order


def prepare(order: dict[str, Any]) -> None:
    """Take on limits, identity, folder, log, claim and environment, in this order."""
    pid = os.getpid()
    for tasks in order["cgroups"]:
        Path(tasks).write_text(str(pid))
    if order["cpus"]:
        os.sched_setaffinity(0, order["cpus"])
    if order["user"] is not None:
        os.setgroups(order["user"]["groups"])
        os.setresgid(*[order["user"]["gid"]] * 3)
        os.setresuid(*[order["user"]["uid"]] * 3)
    os.umask(0o077)
    os.chdir(order["folder"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    log = os.open(order["log"], flags, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    claim(order["claim"], executed=order["python"] is not None)
    os.environ.clear()
    os.environ.update(order["environment"])


def claim(path: str, *, executed: bool) -> None:
    """Write who we are to ``path`` and hold it locked for as long as we live.

    Two processes that were ordered under one name never both run, and a gateway that
    was killed before it noted our pid finds it here.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(0) from None  # somebody with our name is alive
    pid = os.getpid()
    content = json.dumps({"pid": pid, "start_ticks": _start_ticks(pid)}).encode()
    os.pwrite(file, content.ljust(os.fstat(file).st_size), 0)
    if executed:
        os.set_inheritable(file, True)


def _run(order: dict[str, Any]) -> int:
    if order["python"] is not None:
        # Another environment than ours: executed only now, with its owner's rights.
        command = [order["python"], "-m", "dask", order["role"], *order["arguments"]]
        os.execve(command[0], command, os.environ)  # noqa: S606
    import dask.config

    dask.config.refresh(paths=dask.config._get_paths())  # type: ignore[no-untyped-call]
    with contextlib.suppress(ImportError):
        import numpy as np

        np.random.seed()  # noqa: NPY002 - the global state was copied by the fork
    if order["role"] == "scheduler":
        from distributed.cli.dask_scheduler import main as become
    else:
        from distributed.cli.dask_worker import main as become
    become.main(args=order["arguments"], prog_name="dask", standalone_mode=False)
    return 0


if __name__ == "__main__":
    main()
