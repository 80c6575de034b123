"""Sub-commands whose modules are imported only when they are used.

``facility status`` must not pay for numpy because ``facility samples`` needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

MODULES = {
    "config": ("facility.cli.config", "Show and check facility.yaml, or its schema."),
    "samples": ("facility.cli.samples", "Example data: list, fetch, find."),
    "environment": (
        "facility.cli.environment",
        "What this Python environment is made of, and how it differs from another.",
    ),
}
"""Module with the sub-command's ``app``, and the line that the help shows."""


class LazyGroup(TyperGroup):
    """A group that knows the names and help lines of commands it has not imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and remaining arguments of what was typed."""
        if args and args[0] in MODULES:
            module = import_module(MODULES[args[0]][0])
            return args[0], typer.main.get_command(module.app), args[1:]
        return super().resolve_command(ctx, args)


def add_lazy_commands(app: typer.Typer) -> None:
    """Make the names and help lines known to ``app``, whose class is `LazyGroup`."""
    for name, (_, line) in MODULES.items():
        app.add_typer(typer.Typer(help=line), name=name)
