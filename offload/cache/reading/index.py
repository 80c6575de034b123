"""Which content each object has: lines in 256 files, appended by all, read as they grow.

A line per object, ``NAME CONTENT``; of several with a name the last one counts, and
``NAME -`` takes it back. What a crash or a clumsy file system garbles is no line, and
what is lost is fetched again: nothing depends on a line being there.
"""
# By the thousand: strings and os, no Path objects.
# ruff: noqa: PTH103, PTH116, PTH123, PTH208

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from offload.cache.writing import replace_file

_LINE = re.compile(r"(\w+) (-|[0-9a-f]{40}\.[0-7]{1,4}\.-?\d+)")
_GONE = "-"


@dataclass(slots=True)
class _Part:
    """One of the files, as far as it was read."""

    inode: int = 0
    size: int = 0
    names: dict[str, str] = field(default_factory=dict)


class Index:
    """Names of contents by names of objects, shared by all who have the folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._parts: dict[str, _Part] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        """Return the content of an object, as it was given; None if it is not known."""
        return self._part(name[:2]).names.get(name)

    def put(self, name: str, content: str = _GONE) -> None:
        """Note an object's content, or that it has none any more.

        Raises:
            OSError: the disk is full.
        """
        # Whatever the last writer has left in the middle ends here.
        line = f"\n{name} {content}\n".encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(f"{self._folder}/{name[:2]}", flags, 0o600)
        try:
            if os.write(handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield all objects with their contents."""
        for part in os.listdir(self._folder):
            if not part.startswith("."):
                yield from list(self._part(part).names.items())

    def keep(self, names: Iterable[str]) -> None:
        """Write the files anew with these names only.

        What others append meanwhile may be lost, and is then fetched again. One at a
        time: the caller holds a lock.
        """
        kept = set(names)
        for part in os.listdir(self._folder):
            known = self._part(part).names
            if part.startswith(".") or known.keys() <= kept:
                continue
            lines = [f"{n} {c}\n" for n, c in known.items() if n in kept]
            replace_file(Path(self._folder, part), "".join(lines).encode())

    def _part(self, key: str) -> _Part:
        path = f"{self._folder}/{key}"
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return _Part()
        with self._lock:
            part = self._parts.get(key)
            if part is None or part.inode != found.st_ino or part.size > found.st_size:
                part = self._parts[key] = _Part(found.st_ino)
            if part.size < found.st_size:
                self._read(path, part)
            return part

    @staticmethod
    def _read(path: str, part: _Part) -> None:
        with open(path, "rb", buffering=0) as file:
            file.seek(part.size)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        part.size += len(whole)
        for line in whole.decode("ascii", errors="replace").split("\n"):
            if match := _LINE.fullmatch(line):
                name, content = match.groups()
                if content == _GONE:
                    part.names.pop(name, None)
                else:
                    part.names[name] = content
