"""Where a person's jobs are recorded: what this process was told, or what runs here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from facility.errors import NotRunningError
from facility.open_places import OFFLOAD, OFFLOAD_FILE, open_dir

if TYPE_CHECKING:  # it takes 0.1 s to import, and some only ask where it is
    from offload.jobs.settings import Settings


def settings_file(directory: Path | None = None) -> Path:
    """Return the settings file of a facility.

    Args:
        directory: of the facility; if ``None``, what ``FACILITY_OFFLOAD`` says (set in
            notebooks and their terminals), else the working directory.

    Raises:
        NotRunningError: no facility was ever started there.
    """
    told = os.environ.get(OFFLOAD)
    if directory is None and told:
        return Path(told)
    from facility.local.paths import Place

    place = Place.of(directory or Path())
    storage = place.last_storage()
    if storage is None:
        raise NotRunningError(
            f"no facility was ever started in {place.directory}: `facility up` starts "
            "one, `-C DIR` names another"
        )
    is_root = os.geteuid() == 0
    folder = open_dir(storage.id, storage.state_dir, multi_user=is_root)
    return folder / OFFLOAD_FILE


def load_settings(directory: Path | None = None) -> Settings:
    """Read the settings; see :func:`settings_file`."""
    from offload.jobs.settings import Settings

    return Settings.load(settings_file(directory))
