"""A pack is unpacked into the job's own folder, all of it or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from offload import zstd
from offload.outputs.changes import Changes
from offload.outputs.copying import copy
from offload.outputs.errors import (
    InTheWayError,
    NoSpaceError,
    PackError,
    TooLargeError,
)
from offload.outputs.kernel import synchronise
from offload.outputs.members import CHANGES, ELSEWHERE, WORKING, member_name
from offload.outputs.states import State, to_text
from offload.outputs.writing import room, write_whole
from offload.snapshot.errors import SnapshotError
from offload.snapshot.layers.headers import BLOCK
from offload.snapshot.layers.tar import Member, read_member
from offload.snapshot.tree import PERMISSIONS, Kind

OUTPUTS = "outputs"
"""Folder of what was in the working folder."""

RECORD = "landed.json"
STAGING = ".landing"
LARGEST_CHANGES = 1 << 30
"""Bytes of ``changes.json`` that are read: some millions of paths."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Where the outputs of a job are at home."""

    folder: Path
    """The job's own folder, with ``outputs`` and, if there is any, ``elsewhere``."""
    changes: Changes

    def path(self, area: bytes, path: bytes) -> bytes:
        """Return where a packed path lies now."""
        member = member_name(area, path, self.changes.working)
        if member.startswith(WORKING + b"/"):
            member = member.replace(WORKING, OUTPUTS.encode(), 1)
        return os.fsencode(self.folder) + b"/" + member


def land(pack: Path, folder: Path, *, most_bytes: int | None = None) -> Landed:
    """Unpack into ``folder/outputs`` and ``folder/elsewhere``; return what is there.

    Every file is compared with the digest that the pack promises. Killed at any point
    and called again, it ends the same; once landed, nothing is touched any more. No
    member can leave the folder: no ``..``, no absolute name, nothing through a link.

    Args:
        pack: what :func:`fetch` brought.
        folder: the job's folder; made if it is not there.
        most_bytes: that its files may have together.

    Raises:
        TooLargeError: they have more; nothing of it is left in the folder.
        PackError: the pack is damaged or holds what no pack may hold.
        InTheWayError: ``outputs`` exists and is not of this pack.
        NoSpaceError: there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staging, record = folder / STAGING, folder / RECORD
    if not record.exists():
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        try:
            with room(folder, "the outputs", "they land again"):
                changes = _unpack(pack, os.fsencode(staging), most_bytes)
                synchronise(staging)
        except (TooLargeError, NoSpaceError):
            shutil.rmtree(staging, ignore_errors=True)
            raise
        write_whole(record, changes.dumps())
    changes = Changes.from_json(json.loads(record.read_bytes()))
    if staging.exists():
        for name in (ELSEWHERE.decode(), OUTPUTS):
            inner = WORKING.decode() if name == OUTPUTS else name
            _move(staging / inner, folder / name)
        staging.rmdir()
    return Landed(folder, changes)


def _move(source: Path, target: Path) -> None:
    if not source.exists():
        return
    try:
        source.replace(target)  # also onto an empty folder
    except OSError as error:
        raise InTheWayError(
            f"{target}: not empty, expected nothing where the job's outputs land: "
            "move it away"
        ) from error


def _unpack(pack: Path, staging: bytes, most_bytes: int | None) -> Changes:
    """Unpack into a new folder of ours; return what the last member says.

    Raises:
        PackError, TooLargeError: see :func:`land`.
    """
    states: dict[bytes, State] = {}
    changes: Changes | None = None
    size = 0
    folders = {WORKING}
    Path(os.fsdecode(staging + b"/" + WORKING)).mkdir()
    with _opened(pack) as file:
        while (member := read_member(file.exactly)) is not None:
            content = _Content(file, member.size)
            if member.path == CHANGES.encode():
                if member.size > LARGEST_CHANGES:
                    raise PackError(f"{pack}: {CHANGES} has {member.size:,} bytes")
                changes = Changes.loads(content.read(member.size))
            else:
                size += member.size
                if most_bytes is not None and size > most_bytes:
                    raise TooLargeError(f"{pack}: more than {most_bytes:,} bytes")
                _make_parents(member.path, staging, folders)
                place = staging + b"/" + member.path
                states[member.path] = _extract(member, content, place)
                if member.kind is Kind.FOLDER:
                    folders.add(member.path)
            file.exactly(-member.size % BLOCK)
    if changes is None:
        raise PackError(f"{pack}: changes.json is missing: the pack is cut short")
    expected = {
        member_name(one.area, one.path, changes.working): one.now
        for one in changes.changes
        if one.now is not None
    }
    if states != expected:
        odd = next(n for n in states | expected if states.get(n) != expected.get(n))
        raise PackError(
            f"{pack}: {to_text(odd)!r} is not what changes.json says: expected "
            f"{expected.get(odd)}, got {states.get(odd)}"
        )
    return changes


class _Pack:
    """The archive in a pack."""

    def __init__(self, file: zstd.ZstdFile) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Return some bytes, at most so many.

        Raises:
            EOFError: there are none.
        """
        if size and not (data := self._file.read(size)):
            raise EOFError("it is cut short")
        return data if size else b""

    def exactly(self, size: int) -> bytes:
        """Return so many bytes.

        Raises:
            EOFError: there are fewer.
        """
        data = b""
        while len(data) < size:
            data += self.read(size - len(data))
        return data


class _Content:
    """What one member holds."""

    def __init__(self, file: _Pack, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.exactly(wanted)
        self._left -= len(data)
        return data


@contextlib.contextmanager
def _opened(pack: Path) -> Iterator[_Pack]:
    try:
        with pack.open("rb") as raw, zstd.ZstdFile(raw, "rb") as file:
            yield _Pack(file)
    except (SnapshotError, zstd.ZstdError, EOFError) as error:
        raise PackError(f"{pack}: damaged: {error}") from error


def _make_parents(name: bytes, staging: bytes, folders: set[bytes]) -> None:
    """Make the folders above a member; refuse what would lead out of ``staging``."""
    parts = name.split(b"/")
    is_ours = parts[0] in {WORKING, ELSEWHERE} and len(parts) > 1
    if not is_ours or {b"", b".", b".."} & set(parts) or b"\0" in name:
        raise PackError(f"{to_text(name)!r}: no name that a pack may hold")
    for length in range(1, len(parts)):
        parent = b"/".join(parts[:length])
        if parent in folders:
            continue
        try:
            Path(os.fsdecode(staging + b"/" + parent)).mkdir()
        except FileExistsError:
            raise PackError(
                f"{to_text(name)!r}: {to_text(parent)!r} is not a folder in the pack"
            ) from None
        folders.add(parent)


def _extract(member: Member, content: _Content, path: bytes) -> State:
    place = Path(os.fsdecode(path))
    mode = member.mode & PERMISSIONS
    try:
        if member.kind is Kind.FOLDER:
            place.mkdir(exist_ok=place.is_dir() and not place.is_symlink())
            # Whose outputs they are can always look into them and remove them.
            place.chmod(mode | 0o700)
            return State.folder(mode)
        if member.kind is Kind.LINK:
            place.symlink_to(os.fsdecode(member.target))
            return State.link(member.target)
        with place.open("xb") as target:
            sha256, size = copy(content, target)
            os.fchmod(target.fileno(), mode | 0o600)
    except FileExistsError:
        raise PackError(f"{to_text(member.path)!r}: twice in one pack") from None
    return State.file(mode, size, sha256)
