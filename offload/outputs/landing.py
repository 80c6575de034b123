"""A pack is unpacked into the job's own folder, all of it or nothing."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from offload import zstd
from offload.outputs.changes import Changes
from offload.outputs.copying import copy
from offload.outputs.errors import InTheWayError, OutputsError, PackError
from offload.outputs.kernel import synchronise
from offload.outputs.members import CHANGES, ELSEWHERE, WORKING, member_name
from offload.outputs.states import State, to_bytes, to_text
from offload.snapshot.tree import PERMISSIONS

OUTPUTS = "outputs"
"""Folder of what was in the working folder."""

RECORD = "landed.json"
STAGING = ".landing"


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


def land(pack: Path, folder: Path) -> Landed:
    """Unpack into ``folder/outputs`` and ``folder/elsewhere``; return what is there.

    Every file is compared with the digest that the pack promises. Killed at any point
    and called again, it ends the same; once landed, nothing is touched any more. No
    member can leave the folder: no ``..``, no absolute name, nothing through a link.

    Args:
        pack: what :func:`fetch` brought.
        folder: the job's folder; made if it is not there.

    Raises:
        PackError: the pack is damaged or holds what no pack may hold.
        InTheWayError: ``outputs`` exists and is not of this pack.
        OutputsError: there is no space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staging, record = folder / STAGING, folder / RECORD
    if not record.exists():
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        try:
            changes = _unpack(pack, os.fsencode(staging))
            synchronise(staging)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                shutil.rmtree(staging, ignore_errors=True)
                raise OutputsError(
                    f"{folder}: no space left for the outputs: free some, they land "
                    "again"
                ) from error
            raise
        _save(record, changes)
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


def _save(record: Path, changes: Changes) -> None:
    draft = record.with_name(f"{record.name}.new")
    with draft.open("wb") as file:
        file.write(changes.dumps())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(record)


def _unpack(pack: Path, staging: bytes) -> Changes:
    """Unpack into a new folder of ours; return what the last member says.

    Raises:
        PackError: see :func:`land`.
    """
    states: dict[bytes, State] = {}
    changes: Changes | None = None
    folders = {WORKING}
    Path(os.fsdecode(staging + b"/" + WORKING)).mkdir()
    with _members(pack) as tar:
        for info in tar:
            name = to_bytes(info.name)
            if name == CHANGES.encode():
                file = tar.extractfile(info)
                changes = Changes.loads(file.read() if file else b"")
                continue
            _make_parents(name, staging, folders)
            states[name] = _extract(tar, info, staging + b"/" + name)
            if info.isdir():
                folders.add(name)
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


@contextlib.contextmanager
def _members(pack: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            pack.open("rb") as raw,
            zstd.ZstdFile(raw, "rb") as file,
            tarfile.open(
                fileobj=file, mode="r|", encoding="utf-8", errors="surrogateescape"
            ) as tar,
        ):
            yield tar
    except (tarfile.TarError, zstd.ZstdError, EOFError) as error:
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


def _extract(tar: tarfile.TarFile, info: tarfile.TarInfo, path: bytes) -> State:
    place = Path(os.fsdecode(path))
    mode = info.mode & PERMISSIONS
    try:
        if info.isdir():
            place.mkdir(exist_ok=place.is_dir() and not place.is_symlink())
            # Whose outputs they are can always look into them and remove them.
            place.chmod(mode | 0o700)
            return State.folder(mode)
        if info.issym():
            place.symlink_to(os.fsdecode(to_bytes(info.linkname)))
            return State.link(to_bytes(info.linkname))
        source = tar.extractfile(info) if info.isreg() else None
        if source is None:
            raise PackError(f"{info.name!r}: neither file, folder nor link")
        with place.open("xb") as target:
            sha256, size = copy(source, target)
            os.fchmod(target.fileno(), mode | 0o600)
    except FileExistsError:
        raise PackError(f"{info.name!r}: twice in one pack") from None
    return State.file(mode, size, sha256)
