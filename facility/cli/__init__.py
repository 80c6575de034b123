"""The ``facility`` command."""

from __future__ import annotations

import sys

from facility.cli.running import run


def main() -> None:
    """Run the command with the arguments of this process, and leave."""
    sys.exit(run(sys.argv[1:]))


__all__ = ["main"]
