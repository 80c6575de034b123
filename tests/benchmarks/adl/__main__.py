"""The eight ADL queries beside awkward, coffea, RDataFrame and dask-awkward.

``python tests/benchmarks/adl --only queries --events 500000``: one part, few events.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from adl.parts import PARTS, Settings, measure_all
from adl.rates import NOT_JUDGED
from machine import machine
from measurement import Measurement
from rich.console import Console
from rich.table import Table


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
    about["load after"] = f"{os.getloadavg()[0]:.1f}"
    if arguments.json:
        print(json.dumps({"machine": about, "rows": [r.to_json() for r in rows]}))
    else:
        words = ", ".join(f"{name} {value}" for name, value in about.items())
        console.print(words, table_of(rows), soft_wrap=True)
    return 0 if all(row.passes for row in rows) else 1


def table_of(rows: list[Measurement]) -> Table:
    """Return medians, ratios and bars as people read them."""
    table = Table(title="ADL queries: medians")
    for heading in ("what", "unit", "ours", "other side", "ratio", "bar", ""):
        is_number = heading in {"ours", "other side", "ratio"}
        table.add_column(heading, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(
            row.name,
            row.unit,
            f"{row.ours:.4g}",
            "" if row.theirs is None else f"{row.theirs:.4g} ({row.other})",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.bar == NOT_JUDGED else str(row.bar),
            _verdict(row),
        )
    return table


def _verdict(row: Measurement) -> str:
    if row.bar == NOT_JUDGED:
        return ""
    return "[green]kept[/]" if row.passes else "[red]missed[/]"


if __name__ == "__main__":
    sys.exit(main())
