"""The working folder's files as they were before anybody could write to them.

What has the same inode, size and times at the end was not written to, and is not read
again (:mod:`offload.outputs.baseline` makes use of it). Here, because this is on the
way to a job's first instruction, and packages that pack outputs are not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from offload.plugins.node.folder import write_bytes

_TICK_S = 3.0
"""Longest wait for a file system's clock: FAT's, the coarsest, ticks every 2 s."""


class Seen(NamedTuple):
    """The fields of :class:`offload.snapshot.files.fingerprint.Fingerprint`."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int


def record(working: Path, target: Path) -> None:
    """Write them to a file; return when any later write will have another time."""
    lines: list[str] = []
    newest = 0
    for path, found in _walk(os.fspath(working), ""):
        newest = max(newest, found.st_ctime_ns)
        seen = Seen(
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_mode & 0o777,
        )
        lines.append(json.dumps([path, *seen]))
    write_bytes(target, "\n".join(lines).encode(), is_durable=False)
    deadline = time.monotonic() + _TICK_S
    probe = target.with_name(f".{target.name}.tick")
    while time.monotonic() < deadline:
        probe.touch()
        if probe.stat().st_ctime_ns > newest:
            break
        time.sleep(0.001)
    probe.unlink(missing_ok=True)


def recall(source: Path) -> dict[str, Seen]:
    """Return what each path, as text, was like."""
    found: dict[str, Seen] = {}
    try:
        lines = source.read_text().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        path, *seen = json.loads(line)
        found[path] = Seen(*seen)
    return found


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            yield name, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, name + "/")
