"""What is said of an image that is published, or is to be."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import asdict

import typer

from facility.text import amount, moment, shown
from offload.cache.publishing.status import ImageState, Status


def status_words(status: Status) -> str:
    """Say what an image is, and why it waits or was refused."""
    words = str(status.state)
    if status.total:
        words += f", {amount(status.done)} of {amount(status.total)} are here"
    detail = status.detail
    if status.state is ImageState.UNKNOWN:
        detail = "nobody has told the publisher of it"
    return f"{words}: {detail}" if detail else words


def reasons(status: Status, now: float, going: Collection[str] = ()) -> list[str]:
    """Say what keeps an image, one thing a line; without any, since when nothing does.

    Args:
        status: of the image.
        now: seconds since the epoch.
        going: names that do not count, for they are about to be removed.
    """
    kept = [f"name {name}" for name in status.names if name not in going]
    kept += [f"pin of {who}" for who in status.pins]
    kept += [
        f"lease of {who}, until {moment(until, now)}" for who, until in status.leases
    ]
    if kept:
        return kept
    if status.unused_since is None:
        return ["nothing from now on: its grace period begins"]
    return [f"its grace period: unused since {moment(status.unused_since, now)}"]


def print_status(status: Status, *, as_json: bool) -> None:
    """Print all that is known of an image."""
    if as_json:
        typer.echo(json.dumps(asdict(status), indent=1))
        return
    now = time.time()
    lines = {
        "image": status.image,
        "state": status_words(status),
        "mounted": status.path and f"/cvmfs/{status.fqrn}{status.path}",
        "revision": status.path and str(status.revision),
        "asked for": status.asked_at and moment(status.asked_at, now),
        "kept by": "; ".join(reasons(status, now)) if status.path else "",
        "names": "" if status.path else ", ".join(status.names),
    }
    for key, value in lines.items():
        if value:
            typer.echo(f"{key:10} {shown(value)}")
