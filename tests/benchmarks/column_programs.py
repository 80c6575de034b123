"""What ``make bench`` takes from the programs on columns that also run on their own.

Each is a process of its own, so that nothing that was measured before has warmed it up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measurement import Bar, Measurement
from reading import SHARE

HERE = Path(__file__).parent
PRINTED = ("caching.py", "many_files.py")
"""Programs without a bar: what they say is shown."""


def column_rows(report: Callable[[str], None]) -> list[Measurement]:
    """Measure reading beside decompression alone; run and show the others.

    Raises:
        CalledProcessError: one of the others failed.
        ValueError: reading could not be measured.
    """
    # Its exit code says whether the bar is kept, and so do the rows.
    done = subprocess.run(
        [sys.executable, HERE / "reading.py", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    rows = [reading_row(row) for row in json.loads(done.stdout)["rows"]]
    for program in PRINTED:
        shown = subprocess.run(
            [sys.executable, HERE / program],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        report(f"{program}:\n{shown.stdout}")
    return rows


def reading_row(row: dict[str, Any]) -> Measurement:
    """Return the best rate of reading a file's columns beside a side that has a bar.

    Decompression alone where the baskets are large and ZSTD's, uproot elsewhere.
    """
    is_limited = row["file"] == "ZSTD"
    other = "decompression" if is_limited else "uproot"
    return Measurement(
        f"reading {row['columns']}, {row['file']}",
        "1/CPU s",
        Bar(SHARE if is_limited else 1.0, at_least=True),
        other,
        ours_values=[1000 / row["ours_ms"]],
        other_values=[1000 / row[f"{other}_ms"]],
    )
