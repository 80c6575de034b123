"""All paths below a folder, in one order, never through links."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator

from offload.outputs.states import kind_of
from offload.snapshot.tree import Kind

Seen = tuple[bytes, Kind, os.stat_result]
"""Path relative to the folder, its kind and its ``lstat``."""


def walk(
    top: bytes,
    *,
    without: Container[bytes] = frozenset(),
    left_out: Callable[[bytes, str], None],
) -> Iterator[Seen]:
    """Yield everything below ``top`` that can travel; folders before what is in them.

    Names are sorted by their bytes within each folder. What cannot be read, and
    sockets, pipes and devices, go to ``left_out`` with the reason; paths in
    ``without`` (relative) are skipped with all that is below them. What vanishes
    meanwhile was not there.
    """
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(top + b"/" + folder) as found_here:
                names = sorted(entry.name for entry in found_here)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            left_out(folder, f"cannot be read: {error.strerror}")
            continue
        inner: list[bytes] = []
        for name in names:
            path = folder + b"/" + name if folder else name
            if path in without:
                continue
            try:
                found = os.lstat(top + b"/" + path)
            except FileNotFoundError:
                continue
            except OSError as error:
                left_out(path, f"cannot be read: {error.strerror}")
                continue
            kind = kind_of(found.st_mode)
            if kind is None:
                left_out(path, "a socket, pipe or device")
                continue
            yield path, kind, found
            if kind is Kind.FOLDER:
                inner.append(path)
        folders.extend(reversed(inner))
