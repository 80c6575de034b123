"""What people's programs find without knowing more of a facility than where it is."""

from __future__ import annotations

import json
from pathlib import Path

OFFLOAD = "FACILITY_OFFLOAD"
"""Environment variable that tells people's programs where jobs are recorded."""

OFFLOAD_FILE = "offload.json"
"""Name of the file that it holds the path of."""

_OPEN = Path("/var/lib/analysis-facility")


def open_dir(facility_id: str, state_dir: Path, *, multi_user: bool) -> Path:
    """Return the folder that everybody whom a facility serves may reach.

    Root's state is closed to others, so with several users it is elsewhere.
    """
    return _OPEN / facility_id if multi_user else state_dir


def open_facilities(person: str) -> list[Path]:
    """Return the settings files of running facilities of root's that serve a person."""
    found = []
    for path in sorted(_OPEN.glob(f"*/{OFFLOAD_FILE}")):
        try:
            settings = json.loads(path.read_text())
            is_served = person in settings["people"]
            is_running = Path(settings["launcher_socket"]).exists()
        except (OSError, ValueError, KeyError, TypeError):
            continue  # being written, or of another version
        if is_served and is_running:
            found.append(path)
    return found
