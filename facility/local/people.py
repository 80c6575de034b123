"""Can everybody whom the file lets in be served by who runs the facility here."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from facility.errors import UsageError
from facility.spec import Facility


def check_people(spec: Facility, owner: str, *, is_root: bool) -> None:
    """Raise unless every allowed person's processes can run.

    Raises:
        UsageError: there are others than the owner, who is not root; or they cannot
            enter the folders that the software is installed in.
    """
    others = sorted(set(spec.users.allowed) - {owner})
    if not others:
        return
    if not is_root:
        raise UsageError(
            f"users.allowed names {others[0]!r}, but the facility runs as {owner!r} "
            "and can start servers for that user only: run it as root, or remove the "
            "name"
        )
    software = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]))
    for place in map(Path, software):
        closed = closed_folder(place)
        if closed is not None:
            raise UsageError(
                f"{closed} is closed to others, but the notebooks of {others[0]!r} "
                f"run what is in {place}: chmod o+x {closed}, or install elsewhere"
            )


def closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to ``path`` that others may not enter."""
    for folder in (*reversed(path.parents), path):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
