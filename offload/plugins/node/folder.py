"""The folder of one pod: where everything lies, and how it is written."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from facility.errors import FacilityError


class ExitCode(IntEnum):
    """How the wrapper ends. Any other code, a signal too: start it again."""

    SUCCEEDED = 0
    """``done.json`` is there; every container ended with 0."""
    FAILED = 1
    """``done.json`` is there; a container, or the pod as a whole, failed."""
    USAGE = 2
    """The folder holds no pod that can be read; nothing was done."""
    CLAIMED = 3
    """The pod belongs to another allocation; nothing was touched."""
    RUNNING = 4
    """Another wrapper of this allocation is at work; nothing was touched."""


class NodeError(FacilityError):
    """What went wrong on the compute node."""


class PodError(NodeError):
    """The pod asks for what cannot be done here: no further try will help."""


@dataclass(frozen=True, slots=True)
class PodFolder:
    """Paths below ``work/pods/UID`` (see :mod:`offload.plugins.node`)."""

    path: Path

    @property
    def work(self) -> Path:
        """The site's work area: pods, blobs, layers and trees."""
        return self.path.parent.parent

    @property
    def pod(self) -> Path:
        return self.path / "pod.json"

    @property
    def claim(self) -> Path:
        return self.path / "claim"

    @property
    def cancelled(self) -> Path:
        return self.path / "cancelled"

    @property
    def lock(self) -> Path:
        return self.path / "wrapper.lock"

    @property
    def status(self) -> Path:
        return self.path / "status"

    @property
    def done(self) -> Path:
        return self.status / "done.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def volumes(self) -> Path:
        return self.path / "volumes"

    @property
    def root(self) -> Path:
        """Stands for ``/`` where nothing can be mounted (runtime ``none``)."""
        return self.path / "root"

    @property
    def layout(self) -> Path:
        return self.path / "layout.json"

    @property
    def fingerprints(self) -> Path:
        return self.path / "fingerprints"

    def run(self, attempt: int) -> Path:
        return self.path / "run" / str(attempt)


def check_inside(path: Path, folder: Path) -> None:
    """Make sure that no link, which a job may have made, leads out of a folder.

    Raises:
        PodError: one does.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PodError(f"{path.name!r}: a link leads out of the volume that it is in")


def write_json(path: Path, document: object, *, is_durable: bool = True) -> None:
    """Replace a file by a JSON document, as :func:`write_bytes` does."""
    write_bytes(path, json.dumps(document).encode(), is_durable=is_durable)


def write_bytes(
    path: Path, data: bytes, *, mode: int = 0o600, is_durable: bool = True
) -> None:
    """Replace a file: readers see the old or the new one whole.

    Args:
        path: the file; its folder is made if need be.
        data: all that it will hold.
        mode: its permission bits.
        is_durable: whether it must survive a crash of the machine. That may take as
            long as starting a process, so not for what is written again anyway.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)


def write_json_once(path: Path, document: object) -> bool:
    """Create a file with all of its content, or return ``False``: it exists.

    A link is made or refused as a whole on every file system, NFS too, so of several
    who try, on several machines, one succeeds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    with draft.open("w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        # An NFS server's lost answer makes a success look like this: ask the inode.
        return draft.stat().st_nlink == 2
    finally:
        draft.unlink()
    return True


def open_regular(path: Path) -> BinaryIO:
    """Open a file that a job may have replaced: through no link, waiting for no pipe.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def read_json(path: Path) -> object | None:
    """Return what a file holds; ``None`` if there is none."""
    try:
        document: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return document
