"""The ``facility`` command."""

from __future__ import annotations

import os
import sys

from facility.cli.running import run
from facility.local.direct import direct


def main() -> None:
    """Run the command with the arguments of this process, and leave."""
    os.environ.update(direct(os.environ))
    sys.exit(run(sys.argv[1:]))


__all__ = ["main"]
