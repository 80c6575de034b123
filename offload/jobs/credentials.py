"""A person's credential files: for him alone, when he submits and when they are sent."""

from __future__ import annotations

import os
from pathlib import Path

from offload.jobs.errors import JobRefusedError

OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def read_credential(name: str, folder: Path) -> bytes:
    """Return what is in a credential file.

    What is checked is what is read: the file may be changed while a job waits.

    Raises:
        JobRefusedError: there is none, it cannot be read, or others could read it.
    """
    path = folder / name
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except FileNotFoundError:
        raise JobRefusedError(
            f"credential {name!r}: no file {path}; there are: {_names(folder)}"
        ) from None
    except OSError as error:
        raise JobRefusedError(
            f"credential {name!r}: {path}: {error.strerror}"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise JobRefusedError(
                f"credential {name!r}: {path} is open to others: chmod 600 {path}"
            )
        try:
            return file.read()
        except OSError as error:
            raise JobRefusedError(
                f"credential {name!r}: {path}: {error.strerror}"
            ) from None


def _names(folder: Path) -> str:
    try:
        return ", ".join(sorted(path.name for path in folder.iterdir())) or "none"
    except OSError:
        return "none"
