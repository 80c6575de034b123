"""Commands whose modules are imported only when they are used.

``facility status`` must not pay for numpy because ``facility samples`` needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "submit": (
        "facility.cli.submit:app",
        "Run a command or a notebook elsewhere, with what is in front of you.",
    ),
    "jobs": ("facility.cli.jobs:app", "Your jobs, and what waits for what."),
    "wait": ("facility.cli.waiting:wait_app", "Wait until a job's outputs are here."),
    "cancel": ("facility.cli.waiting:cancel_app", "End jobs."),
    "fetch": ("facility.cli.returning:fetch_app", "A job's outputs and logs, now."),
    "diff": ("facility.cli.returning:diff_app", "What changed since a job was frozen."),
    "snapshot": ("facility.cli.snapshot:app", "What was frozen: show, verify, clean."),
    "images": (
        "facility.cli.images:app",
        "Environments that every site can see: list, wait, keep, roll back.",
    ),
    "site": ("facility.cli.site:app", "Where jobs can run, and how that is doing."),
    "config": (
        "facility.cli.config:app",
        "Show and check facility.yaml, or its schema.",
    ),
    "rerun": ("facility.cli.rerun:app", "Compute a saved result again: same bytes?"),
    "samples": ("facility.cli.samples:app", "Example data: list, fetch, find."),
    "bench": ("facility.cli.bench:app", "Standard queries, timed on this machine."),
    "environment": (
        "facility.cli.environment:app",
        "What this Python environment is made of, and how it differs from another.",
    ),
}
"""Where each command's ``app`` is, and the line that the help shows."""


class LazyGroup(TyperGroup):
    """A group that knows the names and help lines of commands it has not imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and remaining arguments of what was typed."""
        if args and args[0] in COMMANDS:
            return args[0], load_command(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Import a command."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    return typer.main.get_command(getattr(import_module(module), attribute))


def add_lazy_commands(app: typer.Typer) -> None:
    """Make the names and help lines known to ``app``, whose class is `LazyGroup`."""
    for name, (_, line) in COMMANDS.items():
        app.add_typer(typer.Typer(help=line), name=name)
