"""The eight ADL queries beside awkward, coffea, RDataFrame and dask-awkward.

``python tests/benchmarks/adl --only queries --events 500000``: one part, few events.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from adl.parts import PARTS, Settings, measure_all
from machine import machine
from report import report
from rich.console import Console


def main() -> int:
    """Measure, print tables (or JSON), and say by the exit code if all bars hold."""
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__, prog="adl")
    parser.add_argument("--only", help=f"of {','.join(PARTS)}, with commas")
    parser.add_argument("--queries", help="as in 1,6")
    parser.add_argument("--events", type=int, default=defaults.events)
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}: expected {', '.join(PARTS)}")
    wanted = defaults.queries
    if arguments.queries:
        wanted = tuple(int(word) for word in arguments.queries.split(","))
    settings = Settings(arguments.events, arguments.rounds, wanted)
    console = Console(stderr=arguments.json, width=100)
    about = machine()
    rows = measure_all(console, settings, chosen)
    return report(rows, about, "ADL queries: medians", as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
