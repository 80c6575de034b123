"""``facility version``."""

from __future__ import annotations

import json
import platform

import typer

from facility.cli.invocation import Json


def version(as_json: Json = False) -> None:
    """Show the version of this software and of its Python."""
    from facility import __version__

    python = platform.python_version()
    if as_json:
        typer.echo(json.dumps({"version": __version__, "python": python}))
    else:
        typer.echo(f"analysis-facility {__version__} (Python {python})")
