"""Ways into a person's folders that no link can bend: one open folder after another."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from offload.outputs.decision import name_beside
from offload.outputs.states import to_text

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RefusedError(Exception):
    """A path cannot be merged; the text says why."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open folder."""

    handle: int
    """The folder, open."""
    folder: bytes
    """The same, relative to the area; empty for the area itself."""
    name: bytes

    @property
    def path(self) -> bytes:
        """The name, relative to the area."""
        return self.folder + b"/" + self.name if self.folder else self.name


def check(path: bytes) -> None:
    """Refuse what no output may be called.

    Raises:
        RefusedError: it leads out of the folder, or into what git keeps for itself.
    """
    parts = path.split(b"/")
    if {b"", b".", b".."} & set(parts) or b"\0" in path:
        raise RefusedError("its name leads out of the folder")
    if any(part.lower() == b".git" for part in parts):
        raise RefusedError("nothing is put where git keeps its own")


@contextmanager
def reach(area: bytes, path: bytes, *, job: str | None) -> Iterator[Spot]:
    """Open the folder of a path; folders on the way are made.

    Where a file is in the place of a folder, the folder beside it with the job's name
    is taken. Without ``job`` nothing is made and nothing else is taken.

    Raises:
        RefusedError: a link is in the place of a folder, or a file of which there is
            no other beside.
        FileNotFoundError: without ``job``, a folder that is not there.
    """
    *folders, name = path.split(b"/")
    # The area itself may be reached through links: it is the person's own choice.
    handle = os.open(area, _OPEN & ~os.O_NOFOLLOW)
    taken: list[bytes] = []
    try:
        for part in folders:
            part, inner = _enter(handle, part, job)  # noqa: PLW2901 - as it is called
            os.close(handle)
            handle = inner
            taken.append(part)
        yield Spot(handle, b"/".join(taken), name)
    finally:
        os.close(handle)


def _enter(handle: int, part: bytes, job: str | None) -> tuple[bytes, int]:
    names = [part] if job is None else [part, name_beside(part, job)]
    for name in names:
        if job is not None:
            ensure_folder(name, handle)
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            raise RefusedError(f"{to_text(name)!r} is a link here, not a folder")
        if stat.S_ISDIR(found.st_mode):
            return name, os.open(name, _OPEN, dir_fd=handle)
    raise RefusedError(f"{to_text(part)!r} is a file here, not a folder")


def ensure_folder(name: bytes, handle: int, mode: int = 0o777) -> bool:
    """Make a folder unless something has the name; return whether it was made."""
    try:
        os.mkdir(name, mode, dir_fd=handle)
    except FileExistsError:
        return False
    return True
