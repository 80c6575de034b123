"""Paths in ``facility.yaml``: relative ones start where the file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

DIRECTORY = "directory"
"""Key of the validation context that holds the directory of the file."""


def _absolute(path: Path, info: ValidationInfo) -> Path:
    directory = (info.context or {}).get(DIRECTORY)
    if path.parts[:1] == ("~",):
        return Path.home().joinpath(*path.parts[1:])
    return path if directory is None else Path(directory, path)


FilePath = Annotated[Path, AfterValidator(_absolute)]
"""A path; relative to the file that it stands in, ``~`` is the home directory."""
