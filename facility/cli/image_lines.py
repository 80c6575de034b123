"""What is said of an image that is published, or is to be."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import typer

from facility.cli.text import amount, moment, shown
from offload.cache.publishing.status import Status


def status_words(status: Status) -> str:
    """Say what an image is, and why it waits or was refused."""
    words = str(status.state)
    if status.total:
        words += f", {amount(status.done)} of {amount(status.total)} are here"
    return f"{words}: {status.detail}" if status.detail else words


def print_status(status: Status, *, as_json: bool) -> None:
    """Print all that is known of an image."""
    if as_json:
        typer.echo(json.dumps(asdict(status), indent=1))
        return
    now = time.time()
    lines = {
        "image": status.image,
        "state": status_words(status),
        "names": ", ".join(status.names),
        "mounted": status.path and f"/cvmfs/{status.fqrn}{status.path}",
        "revision": status.path and str(status.revision),
        "asked for": status.asked_at and moment(status.asked_at, now),
        "kept for": ", ".join(status.pins),
    }
    for key, value in lines.items():
        if value:
            typer.echo(f"{key:10} {shown(value)}")
