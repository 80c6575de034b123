"""What holds for the whole command line: the directory of the facility."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

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
