"""The working folder as it was when the job began: what changes are counted from.

Recorded once, right after the private copy was made. A file whose inode, size and
times are still the same was not written to, and is not read again at the end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from offload import zstd
from offload.outputs.errors import OutputsError
from offload.outputs.states import State, to_bytes, to_text
from offload.outputs.walking import walk
from offload.snapshot.tree import PERMISSIONS, Entry

TICK_S = 3.0
"""Longest wait for a file system's clock: FAT's, the coarsest, ticks every 2 s."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What ``lstat`` says without reading; changes whenever the content does."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    """Permission bits in the copy, which may not be the frozen ones."""

    @classmethod
    def of(cls, found: os.stat_result) -> Fingerprint:
        return cls(
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_mode & PERMISSIONS,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """One frozen path and its copy."""

    frozen: State
    copy: Fingerprint | None
    """``None``: not seen when the job began, so it must be read to be compared."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Every frozen path of the working folder."""

    paths: Mapping[bytes, Known]

    @classmethod
    def of_manifest(cls, frozen: Iterable[Entry]) -> Baseline:
        """Return one without fingerprints: every file of the same size is read."""
        return cls({one.path: Known(State.of(one), None) for one in frozen})

    @classmethod
    def record(
        cls,
        working: Path,
        frozen: Iterable[Entry],
        *,
        mountpoints: Container[bytes] = frozenset(),
    ) -> Baseline:
        """Take the fingerprints of a copy that nobody has written to yet.

        Returns only when the file system's clock has moved on, so that whatever is
        written from now on has another time (the "racy" problem of git's index).

        Args:
            working: the copy.
            frozen: the tree that was copied.
            mountpoints: relative paths that are not of the copy.

        Raises:
            OSError: the folder cannot be read.
        """
        top = os.fsencode(working)
        seen = {
            path: Fingerprint.of(found)
            for path, _, found in walk(
                top, without=mountpoints, left_out=lambda _path, _why: None
            )
        }
        newest = max((one.ctime_ns for one in seen.values()), default=0)
        _wait_until_later(working, newest)
        return cls(
            {one.path: Known(State.of(one), seen.get(one.path)) for one in frozen}
        )

    def save(self, path: Path) -> None:
        """Write atomically: the file is whole or not there, also after a power cut."""
        draft = path.with_name(f"{path.name}.new")
        with draft.open("wb") as raw:
            with zstd.ZstdFile(raw, "wb") as file:
                for name, known in self.paths.items():
                    line = [to_text(name), known.frozen.to_json(), _plain(known.copy)]
                    file.write(json.dumps(line).encode() + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read what :meth:`save` wrote.

        Raises:
            OutputsError: it is missing or damaged.
        """
        paths: dict[bytes, Known] = {}
        try:
            with path.open("rb") as raw, zstd.ZstdFile(raw, "rb") as file:
                for line in file:
                    name, state, copy = json.loads(line)
                    paths[to_bytes(name)] = Known(
                        State.from_json(state), Fingerprint(*copy) if copy else None
                    )
        except (OSError, EOFError, ValueError, TypeError, zstd.ZstdError) as error:
            raise OutputsError(
                f"{path}: the baseline cannot be read: {error}"
            ) from error
        return cls(paths)


def _plain(copy: Fingerprint | None) -> Any:
    if copy is None:
        return None
    return [copy.inode, copy.size, copy.mtime_ns, copy.ctime_ns, copy.mode]


def _wait_until_later(folder: Path, newest_ns: int) -> None:
    deadline = time.monotonic() + TICK_S
    with TemporaryFile(dir=folder.parent) as probe:
        while time.monotonic() < deadline:
            os.fchmod(probe.fileno(), 0o600)
            if os.fstat(probe.fileno()).st_ctime_ns > newest_ns:
                return
            time.sleep(0.001)
