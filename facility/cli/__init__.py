"""The ``facility`` command."""

from __future__ import annotations

import os
import sys

from facility.cli.running import run
from facility.local.direct import direct


def main() -> None:
    """Run the command with the arguments of this process, and leave."""
    os.environ.update(direct(os.environ))
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # said already; Python would flush, and complain, once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


__all__ = ["main"]
