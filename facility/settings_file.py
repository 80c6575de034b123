"""Settings of our other programs: files that are read as ``facility.yaml`` is."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from facility.spec.loading import read_text, validated

Model = TypeVar("Model", bound=BaseModel)


def load_settings_file(path: Path, model: type[Model]) -> Model:
    """Return what a YAML file says; an empty one is all defaults.

    Raises:
        SpecError: all that is wrong with it, each problem with line and column.
    """
    return validated(
        read_text(path), str(path), model, directory=path.absolute().parent
    )
