"""``python -m facility.environment [--prefix P]``: print an environment as JSON.

So one Python can ask another; exit code 2 and one line if there is none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from facility.environment.inspection import describe
from facility.environment.interpreter import NoInterpreterError


def main() -> int:
    """Print the environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m facility.environment")
    parser.add_argument("--prefix", type=Path, help="of another environment")
    prefix: Path | None = parser.parse_args().prefix
    try:
        sys.stdout.write(describe(prefix).to_json() + "\n")
    except NoInterpreterError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
