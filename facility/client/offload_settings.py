"""Where a person's jobs are recorded: what this process was told, or what runs here."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from facility.errors import NotRunningError, UsageError
from facility.open_places import OFFLOAD, OFFLOAD_FILE, open_dir, open_facilities

if TYPE_CHECKING:  # it takes 0.1 s to import, and some only ask where it is
    from facility.local.paths import Storage
    from offload.jobs.settings import Settings


def settings_file(directory: Path | None = None) -> Path:
    """Return the settings file of a facility.

    Args:
        directory: of the facility. If ``None``: what ``FACILITY_OFFLOAD`` says (set in
            notebooks and their terminals); else the facility of the working directory
            or of the nearest folder above it that has one; else the only one that runs:
            of this person, or of root's for him.

    Raises:
        NotRunningError: there is none.
        UsageError: several run, and nothing says which is meant.
    """
    from facility.local.paths import Place, home, running_storages

    told = os.environ.get(OFFLOAD)
    if directory is not None:
        place = Place.of(directory)
        storage = place.last_storage()
        if storage is None:
            raise NotRunningError(
                f"no facility was ever started in {place.directory}: `facility up` "
                "starts one there"
            )
        return _file_of(storage)
    if told:
        return Path(told)
    here = Path.cwd()
    for folder in (here, *here.parents):
        storage = Place.of(folder).last_storage()
        if storage is not None and _file_of(storage).exists():
            return _file_of(storage)
    mine = {_file_of(storage): storage for storage in running_storages(home())}
    roots = [path for path in open_facilities(_user_name()) if path not in mine]
    running = [*mine, *roots]
    if not running:
        raise NotRunningError(
            f"no facility in {here} or above, and none of yours runs elsewhere: "
            "`facility up` starts one, `-C DIR` names one"
        )
    if len(running) > 1:
        names = ", ".join(sorted(str(_directory_of(each)) for each in mine.values()))
        if not roots:
            raise UsageError(
                f"{len(running)} facilities of yours run, in {names}: say which, with "
                "`facility -C DIR`"
            )
        files = " or ".join(f"{OFFLOAD}={path}" for path in roots)
        raise UsageError(
            f"{len(running)} facilities run that serve you: say which, with {files}"
            + (f", or `facility -C DIR` for {names}" if mine else "")
        )
    return running[0]


def _user_name() -> str:
    """Return who runs this, as facilities know him; empty without an account."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def _file_of(storage: Storage) -> Path:
    is_root = os.geteuid() == 0
    folder = open_dir(storage.id, storage.state_dir, multi_user=is_root)
    return folder / OFFLOAD_FILE


def _directory_of(storage: Storage) -> Path:
    from facility.runtime import Runtime

    return Runtime.load(storage.runtime_file).directory


def load_settings(directory: Path | None = None) -> Settings:
    """Read the settings; see :func:`settings_file`."""
    from offload.jobs.settings import Settings

    return Settings.load(settings_file(directory))
