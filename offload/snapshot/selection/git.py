"""Asks git itself which files belong to a repository.

What git would answer depends on attributes, excludes of the person and of the machine,
sparse checkouts and versions of the index: only git knows them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from offload.snapshot.errors import SelectionError

_TIMEOUT_S = 300
_FOREIGN = b"dubious ownership"


@dataclass(frozen=True, slots=True)
class Repository:
    """What git says of one work tree; paths are relative to the folder asked for."""

    files: frozenset[bytes]
    """Tracked, and untracked but not ignored; some may be gone from the folder."""
    tracked: frozenset[bytes]
    ignored_folders: frozenset[bytes]
    """Ignored as a whole: nothing below them was looked at."""


def is_installed() -> bool:
    """Tell whether there is a git program."""
    return shutil.which("git") is not None


def top_level(folder: Path) -> Path | None:
    """Return the top of the work tree that a folder lies in, spelled as the folder is.

    ``None`` if it lies in none, or if there is no git.

    Raises:
        SelectionError: git refuses the repository; the line says what to do.
    """
    if not is_installed():
        return None
    try:
        answer = _ask(folder, "rev-parse", "--show-toplevel", "--show-cdup")
    except _RefusedError as refusal:
        if refusal.is_foreign:
            raise SelectionError(str(refusal)) from None
        return None
    top, _, up = os.fsdecode(answer).rstrip("\n").partition("\n")
    spelled = Path(os.path.normpath(folder / up))
    # A link inside the repository makes ".." lead elsewhere.
    return spelled if spelled.samefile(top) else Path(top)


def read_repository(folder: Path) -> Repository:
    """List what git counts as part of a folder that lies in a work tree.

    Raises:
        SelectionError: git refuses; the line says what to do.
    """
    listing = ("ls-files", "-z")
    others = (*listing, "--others", "--exclude-standard")
    try:
        tracked = frozenset(_split(_ask(folder, *listing, "--cached")))
        untracked = frozenset(_split(_ask(folder, *others)))
        ignored = _split(_ask(folder, *others, "--ignored", "--directory"))
        # A folder is listed too if all in it happens to be ignored, one by one.
        candidates = [path for path in ignored if path.endswith(b"/")]
        folders = _ignored(folder, candidates) if candidates else ()
    except _RefusedError as refusal:
        raise SelectionError(str(refusal)) from None
    return Repository(
        files=tracked | untracked,
        tracked=tracked,
        ignored_folders=frozenset(path.rstrip(b"/") for path in folders),
    )


def is_ignored(folder: Path, path: Path) -> bool:
    """Tell whether git leaves a path out of the work tree that a folder lies in."""
    try:
        relative = os.fsencode(path.relative_to(folder))
        return is_installed() and bool(_ignored(folder, [relative]))
    except _RefusedError:  # no work tree
        return False


class _RefusedError(Exception):
    """Git did not answer."""

    def __init__(self, folder: Path, reason: bytes) -> None:
        self.is_foreign = _FOREIGN in reason
        first = reason.decode(errors="replace").strip().partition("\n")[0]
        message = f"{folder}: git refuses: {first or 'it says nothing'}"
        if self.is_foreign:
            message += f"; run: git config --global --add safe.directory {folder}"
        super().__init__(message)


def _ignored(folder: Path, candidates: list[bytes]) -> list[bytes]:
    stdin = b"".join(path + b"\0" for path in candidates)
    # Exit code 1 says that none is.
    return _split(_ask(folder, "check-ignore", "-z", "--stdin", stdin=stdin, also=1))


def _split(answer: bytes) -> list[bytes]:
    return answer.split(b"\0")[:-1]


def _ask(folder: Path, *arguments: str, stdin: bytes = b"", also: int = 0) -> bytes:
    # From inside a hook, git's own variables would lead to another repository.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    clean |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        answer = subprocess.run(
            # A monitor is a program that the repository's configuration names.
            ["git", "-C", folder, "-c", "core.fsmonitor=false", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env=clean,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _RefusedError(folder, str(error).encode()) from error
    if answer.returncode not in (0, also):
        raise _RefusedError(folder, answer.stderr)
    return answer.stdout
