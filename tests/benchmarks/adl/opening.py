"""What it costs to open a file that was seen before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from adl.environment import sample_of
from measurement import Bar, Measurement

PROGRAM = Path(__file__).parent / "engines" / "open_again.py"


def rows(rounds: int) -> list[Measurement]:
    """Measure CPU milliseconds per opening."""
    path = sample_of(1_000_000)
    row = Measurement("open a file again", "ms CPU", Bar(1.0, of_ratio=False), "uproot")
    root = Measurement(
        "ROOT opens the file (for comparison)", "ms CPU", Bar(1e9, of_ratio=False)
    )
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", PROGRAM, path],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        times = json.loads(done.stdout.splitlines()[-1])
        row.add(is_ours=True, value=times["ours"])
        row.add(is_ours=False, value=times["uproot"])
        root.add(is_ours=True, value=times["ROOT"])
    return [row, root]
