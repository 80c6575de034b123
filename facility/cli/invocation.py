"""What holds for the whole command line: the directory of the facility."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # commands about jobs do without
    from facility.local.paths import Place

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
"""The option that every command has."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the command."""

    directory: Path
    """Where ``facility.yaml`` is (or would be)."""
    is_given: bool = False
    """Whether the person said so, with ``-C``."""


def directory_of(context: typer.Context) -> Path:
    """Return what ``-C`` says; the working directory without it."""
    invocation = context.find_root().obj
    assert isinstance(invocation, Invocation)
    return invocation.directory


def given_directory(context: typer.Context) -> Path | None:
    """Return what ``-C`` says; ``None`` without it."""
    invocation = context.find_root().obj
    assert isinstance(invocation, Invocation)
    return invocation.directory if invocation.is_given else None


def place_of(context: typer.Context) -> Place:
    """Return the place of the facility that is meant, as commands about jobs find it.

    That is what ``-C`` says; else the working directory or the nearest one above in
    which one was started; else that of the only one that runs; else the working
    directory's.
    """
    from facility.local.paths import Place, home, running_storages

    given = given_directory(context)
    if given is not None:
        return Place.of(given)
    here = Path.cwd()
    for folder in (here, *here.parents):
        place = Place.of(folder)
        if place.last_storage() is not None:
            return place
    running = running_storages(home())
    if len(running) == 1:
        from facility.runtime import Runtime

        return Place.of(Runtime.load(running[0].runtime_file).directory)
    return Place.of(here)
