"""A reproducible pack: tar in PAX form, zstd; ``changes.json`` is its last member.

Members are ``working/PATH`` and ``elsewhere/ABSOLUTE/PATH``, without times and owners.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from offload import zstd
from offload.outputs.changes import Change, Changes
from offload.outputs.finding import Found
from offload.outputs.members import CHANGES
from offload.outputs.states import BLOCK, State, open_file, to_text
from offload.outputs.writing import room
from offload.snapshot.tree import PERMISSIONS, Kind

LEVEL = 3
"""Of zstd: outputs are mostly compressed already, and the job's node waits."""

TRIES = 3
"""So often is a small file read that somebody writes to."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the bytes of a pack are known by."""

    digest: str
    """``sha256:`` and hexadecimal, of the compressed file: its ETag."""
    size: int


class _Digesting(io.RawIOBase):
    """Counts and digests what goes to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # any buffer
        self._digest.update(view)
        self._size += len(view)
        self._file.write(view)
        return len(view)

    @property
    def written(self) -> Written:
        return Written(f"sha256:{self._digest.hexdigest()}", self._size)


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that is synchronised at the end and gone after an error.

    Raises:
        NoSpaceError: there is none for it.
    """
    try:
        with (
            room(path.parent, "the outputs of the job", "they are packed again"),
            path.open("wb") as raw,
        ):
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write(
    draft: Path,
    found: Iterable[Found],
    complete: Callable[[list[Change]], Changes],
    leave_out: Callable[[Found, str], None],
) -> tuple[Written, Changes]:
    """Write a pack, reading each file once, a block at a time.

    Args:
        draft: where to; it is synchronised to the disk.
        found: what to pack.
        complete: makes of the packed changes what ``changes.json`` says.
        leave_out: told what vanished or could not be read meanwhile.

    Raises:
        NoSpaceError: there is none.
    """
    with _draft(draft) as raw:
        sink = _Digesting(raw)
        with zstd.ZstdFile(sink, "wb", level=LEVEL) as tar:
            packed: list[Change] = []
            for one in found:
                try:
                    packed.append(_add(tar, one))
                except FileNotFoundError:
                    leave_out(one, "vanished while it was packed")
                except PermissionError as error:
                    leave_out(one, f"cannot be read: {error.strerror}")
            changes = complete(packed)
            text = changes.dumps()
            last = tarfile.TarInfo(CHANGES)
            last.size, last.mode = len(text), 0o600
            _write_header(tar, last)
            _write_content(tar, last, io.BytesIO(text))
            tar.write(bytes(2 * tarfile.BLOCKSIZE))
        return sink.written, changes


def _add(tar: zstd.ZstdFile, one: Found) -> Change:
    info = tarfile.TarInfo(to_text(one.member))
    unsettled = False
    if one.kind is Kind.LINK:
        target = os.readlink(one.source)  # noqa: PTH115 - a Path has no bytes
        info.type, info.linkname = tarfile.SYMTYPE, to_text(target)
        info.mode = PERMISSIONS
        _write_header(tar, info)
        now = State.link(target)
    elif one.kind is Kind.FOLDER:
        info.type, info.mode = tarfile.DIRTYPE, one.mode & PERMISSIONS
        _write_header(tar, info)
        now = State.folder(one.mode)
    else:
        info.mode = one.mode & PERMISSIONS
        now, unsettled = _add_file(tar, info, one)
    return Change(
        one.area, one.path, one.what, one.frozen, now, one.declared, unsettled
    )


def _add_file(
    tar: zstd.ZstdFile, info: tarfile.TarInfo, one: Found
) -> tuple[State, bool]:
    with open_file(one.source) as file:
        before = os.fstat(file.fileno())
        if before.st_size <= BLOCK:
            data, unsettled = _read_small(file)
            info.size = len(data)
            _write_header(tar, info)
            sha256, _ = _write_content(tar, info, io.BytesIO(data))
        else:
            info.size = before.st_size
            _write_header(tar, info)
            sha256, is_short = _write_content(tar, info, file)
            after = os.fstat(file.fileno())
            unsettled = is_short or _moment(before) != _moment(after)
    return State.file(one.mode, info.size, sha256), unsettled


def _read_small(file: IO[bytes]) -> tuple[bytes, bool]:
    """Return the content, and whether it changed at every try."""
    for _ in range(TRIES):
        before = os.fstat(file.fileno())
        file.seek(0)
        # One that grows meanwhile is cut where it ended: a state it once had.
        data = file.read(before.st_size)
        if _moment(before) == _moment(os.fstat(file.fileno())):
            return data, False
    return data, True


def _moment(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _write_header(tar: zstd.ZstdFile, info: tarfile.TarInfo) -> None:
    # TarFile would do it too, but remembers every member until it is closed.
    tar.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))


def _write_content(
    tar: zstd.ZstdFile, info: tarfile.TarInfo, file: IO[bytes]
) -> tuple[str, bool]:
    """Write the promised size; return its SHA-256 and whether zeros had to fill it.

    They do when the file became shorter, or could not be read to its end.
    """
    digest, left, is_short = hashlib.sha256(), info.size, False
    while left:
        try:
            block = b"" if is_short else file.read(min(left, BLOCK))
        except OSError:
            block = b""
        if not block:
            is_short = True
            block = bytes(min(left, BLOCK))
        digest.update(block)
        tar.write(block)
        left -= len(block)
    tar.write(bytes(-info.size % tarfile.BLOCKSIZE))
    return digest.hexdigest(), is_short
