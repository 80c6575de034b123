"""Mounts one image; a process of its own, which ends with whoever has started it.

Standard input is a line of JSON (``settings``, ``folder``, ``image``, ``where``, and the
``revision`` that was believed), then a line for each file of the image's bundle, as they
come: its name there, a blank, and its path; then an empty one. Its end means that the
mount is needed no more. ``ready`` on standard output means that it is there, ``used`` at
the end that somebody reads on; an error is one line on standard error, and the exit code
as documented for ``offload-cache``.
"""
# Each job waits for this to start: what is seldom needed is loaded late.

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from facility.errors import ExitCode, FacilityError
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.reader import Reader
from offload.cache.reading.serving import serve
from offload.cache.reading.view import Revision, View

_LEAVING_S = 2
"""Containers that have ended leave what they saw a little later."""


def main() -> int:
    """Mount until standard input ends or somebody unmounts."""
    # A scheduler sends them to every process of a job, which may go on for a while.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    orders = _orders()
    order = json.loads(next(orders))
    settings = order["settings"]
    where = Path(order["where"])
    reader = Reader(
        Path(order["folder"], settings["fqrn"]),
        settings["urls"],
        settings["proxies"],
        settings["connections"],
        lambda size: _make_room(order, size),
    )
    view = View(Revision.parse(order["revision"]), reader.catalogues)
    ahead = Ahead()
    threading.Thread(target=_follow, args=(orders, ahead, where), daemon=True).start()
    try:
        serve(reader, view, ahead, order["image"], where, partial(_say, "ready"))
    except FacilityError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        ahead.close()
        reader.close()
    return ExitCode.OK


def _say(word: str) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()


def _orders() -> Iterator[bytes]:
    """Yield the lines of standard input.

    Without a buffered file, whose lock a thread that waits would hold at the end.
    """
    rest = b""
    while data := os.read(0, 1 << 16):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _follow(orders: Iterator[bytes], ahead: Ahead, where: Path) -> None:
    for line in orders:
        name, _, path = line.partition(b" ")
        if name:
            ahead.add(name, Path(os.fsdecode(path)))
        else:
            ahead.end()
    ahead.end()  # who was killed says so no more; what waits for it would wait for ever
    from offload.cache.reading.mounting import unmount

    unmount(where)
    if _is_used():
        _say("used")


def _is_used() -> bool:
    """Whether somebody uses what is not mounted any more."""
    watched = select.poll()
    is_open = False
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- one of them is its own
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == "/dev/fuse":  # noqa: PTH115
                watched.register(int(name), 0)
                is_open = True
    # An error is what the kernel has for us once the last one has gone.
    return is_open and not watched.poll(_LEAVING_S * 1000)


def _make_room(order: dict[str, Any], size: int) -> None:
    from offload.cache.reading.cache import RepositoryCache
    from offload.cache.reading.settings import RepositorySettings

    settings = RepositorySettings.model_validate(order["settings"])
    with RepositoryCache(Path(order["folder"]), settings) as cache:
        cache.make_room(size)


if __name__ == "__main__":
    sys.exit(main())
