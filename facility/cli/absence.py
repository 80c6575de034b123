"""What is said where a facility does not run: what, where, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facility.text import counted

if TYPE_CHECKING:  # commands about jobs do without
    from facility.local.paths import Place


def absence(place: Place) -> str:
    """Say that no facility runs there, and which command starts it."""
    is_here = place.directory == Path.cwd()
    facility = "facility" if is_here else f"facility -C {place.directory}"
    if (storage := place.last_storage()) is not None:
        from facility.marked import marked_processes

        if left := marked_processes(storage.id):
            return (
                f"the supervisor of {place.directory} is gone and has left "
                f"{counted(len(left), 'process', 'processes')}: `{facility} up` takes "
                f"over, `{facility} down` ends what is left"
            )
    return f"no facility runs in {place.directory}: `{facility} up` starts it"
