"""A private folder of small things that can be made again.

Entries are whole or not there: they are written beside and renamed, and a digest
before each tells a damaged one, which is then as good as none. Any number of
processes may read and write at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

from platformdirs import user_cache_path

MOST_BYTES = 256 << 20
"""Of one kind of entries; the oldest go when there are more."""
_DIGEST = 16


def read_entry(kind: str, name: str) -> bytes | None:
    """Return an entry as it was written; none if it is not there, or damaged."""
    folder = _folder(kind)
    if folder is None:
        return None
    try:
        with open(folder / name, "rb") as file:  # noqa: PTH123 - half the time of Path
            found = file.read()
    except OSError:
        return None
    payload = found[_DIGEST:]
    return payload if _digest(payload) == found[:_DIGEST] else None


def write_entry(kind: str, name: str, payload: bytes) -> None:
    """Keep an entry; a folder that cannot be written keeps nothing."""
    folder = _folder(kind, make=True)
    if folder is None:
        return
    beside = folder / f".{name}.{secrets.token_hex(6)}"
    try:
        beside.write_bytes(_digest(payload) + payload)
        beside.replace(folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        return
    _forget_oldest(folder)


def read_part(kind: str, name: str, start: int, size: int) -> bytes | None:
    """Return ``size`` bytes of an entry, unverified; none if they are not there."""
    folder = _folder(kind)
    if folder is None:
        return None
    try:
        with open(folder / name, "rb") as file:  # noqa: PTH123
            file.seek(_DIGEST + start)
            part = file.read(size)
    except OSError:
        return None
    return part if len(part) == size else None


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()


def _folder(kind: str, *, make: bool = False) -> Path | None:
    """Return the folder if nobody else can have put anything into it."""
    folder = user_cache_path("analysis-facility", appauthor=False) / "columnar" / kind
    try:
        if make:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:
        return None
    is_ours = about.st_uid == os.geteuid() and stat.S_ISDIR(about.st_mode)
    return folder if is_ours and not about.st_mode & 0o077 else None


def _forget_oldest(folder: Path) -> None:
    entries: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for one in found:
            about = one.stat(follow_symlinks=False)
            entries.append((about.st_mtime, about.st_size, one.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= MOST_BYTES:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
        total -= size
