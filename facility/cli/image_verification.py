"""Reads all that is published, and says what to do about what is damaged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import typer

from facility.errors import ExitCode, UsageError
from facility.text import amount, counted, shown
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.names import Suffix
from offload.cache.cvmfs.repository import Repository
from offload.cache.cvmfs.verification import STEPS, Damage
from offload.cache.publishing.references import INBOX
from offload.cache.publishing.shelf import Shelf

_WAIT_S = 60.0


def verify(
    folder: Path, keys: Path, fqrn: str, seconds: float | None, *, as_json: bool
) -> None:
    """Verify a repository on this machine for so long at most; print what was found.

    Raises:
        Exit: with code 1 if anything is damaged.
        UsageError: there is none, or the keys cannot be read by who asks.
    """
    if not folder.exists():
        raise UsageError(
            f"{folder}: there is no repository yet: `facility images init` makes one"
        )
    try:
        repository = Repository(folder, fqrn, Keys.load(keys, fqrn)).open()
    except PermissionError as error:
        raise UsageError(f"{error.filename}: only the publisher's user may") from None
    names = {
        image: shown(str(reference))
        for reference, image in Shelf(repository, "").names().items()
        if reference.registry != INBOX
    }
    end = None if seconds is None else time.monotonic() + seconds
    objects = size = step = 0
    damaged: list[Damage] = []
    for done in repository.verify(wait_s=_WAIT_S):
        objects, size, step = objects + done.objects, size + done.size, done.step
        damaged += done.damaged
        for each in () if as_json else done.damaged:
            typer.echo(_line(each, names))
        if end is not None and time.monotonic() >= end:
            break
    left = STEPS - step
    if as_json:
        found = [{"object": str(d.name), "line": _line(d, names)} for d in damaged]
        record = {"objects": objects, "bytes": size, "left": left, "damaged": found}
        typer.echo(json.dumps(record))
    else:
        rest = f"; left for the next time: {left} of {STEPS} parts" if left else ""
        lost = len(repository.lost())
        typer.echo(
            f"{counted(objects, 'object')} ({amount(size)}) read, {len(damaged)} damaged"
            f"{f', {lost} to be published again in all' if lost else ''}{rest}"
        )
    if damaged:
        raise typer.Exit(ExitCode.FAILED)


def _line(damage: Damage, names: Mapping[str, str]) -> str:
    images = {
        f"sha256:{path.split(b'/')[3].decode()}"
        for path in damage.paths
        if path.startswith(b"/.flat/")
    }
    tags = sorted(names[image] for image in images & names.keys())
    if tags:
        heal = f"push again: {', '.join(tags)}"
    elif images:
        heal = "submit a job with it again: it is handed over anew"
    elif damage.name.suffix is Suffix.CATALOGUE:
        heal = "roll back to a revision without it, or copy it back from a backup"
    elif damage.paths:
        heal = "publish again what it belongs to"
    else:
        heal = "only revisions that are not published have it: do not roll back to them"
    where = f", of {shown(os.fsdecode(damage.paths[0]))}" if damage.paths else ""
    return f"object {damage.name}{where}: {damage.reason}; {heal}"
