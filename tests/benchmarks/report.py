"""What was measured, as people and programs read it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from measurement import NOT_JUDGED, Measurement
from rich.console import Console
from rich.table import Table

_WIDTH = 110


def report(
    rows: Sequence[Measurement],
    machine: Mapping[str, str],
    title: str,
    *,
    as_json: bool = False,
) -> int:
    """Print all rows; return the exit code: 0 every bar is kept, 1 one is not.

    Args:
        rows: what was measured.
        machine: on which machine, as that was before.
        title: of the table.
        as_json: print for a program.
    """
    about = {**machine, "load after": f"{os.getloadavg()[0]:.1f}"}
    if as_json:
        document = {"machine": about, "rows": [row.to_json() for row in rows]}
        print(json.dumps(document, indent=1))
    else:
        words = ", ".join(f"{name} {value}" for name, value in about.items())
        Console(width=_WIDTH).print(words, table_of(rows, title), soft_wrap=True)
    return 0 if all(row.passes for row in rows) else 1


def table_of(rows: Sequence[Measurement], title: str) -> Table:
    """Return medians, ratios and bars."""
    table = Table(title=title)
    for heading in ("what", "unit", "ours", "other side", "ratio", "bar", ""):
        is_number = heading in {"ours", "other side", "ratio"}
        table.add_column(heading, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(
            row.name,
            row.unit,
            f"{row.ours:.4g}",
            "" if row.theirs is None else f"{row.theirs:.4g} ({row.other})",
            "" if row.ratio is None else f"{row.ratio:.3g}",
            "" if row.bar == NOT_JUDGED else str(row.bar),
            _verdict(row),
        )
    return table


def _verdict(row: Measurement) -> str:
    if row.bar == NOT_JUDGED:
        return ""
    return "[green]kept[/]" if row.passes else "[red]missed[/]"
