"""Peak memory over 1, 10 and 100 files of the same size."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from adl.asking import KERNEL, engines
from adl.environment import cache, sample_of
from measurement import Bar, Measurement

EVENTS = 200_000
"""Of each file."""
QUERY = 5


def rows() -> list[Measurement]:
    """Run the same kernel over more and more files, each time in a new process."""
    one = sample_of(EVENTS)
    peaks = {}
    with tempfile.TemporaryDirectory(prefix="files-", dir=cache()) as folder:
        # Links: files of their own for whoever opens them, without the space.
        files = [Path(folder) / f"{i}.root" for i in range(100)]
        for file in files:
            os.link(one, file)
        for count in (1, 10, 100):
            with engines((KERNEL,)) as [engine]:
                answer = engine.ask(QUERY, [str(file) for file in files[:count]])
                peaks[count] = answer.peak_kib / 1024
    return [
        Measurement(
            f"peak memory, {count} files",
            "MiB",
            Bar(1.1),
            "1 file",
            ours_values=[peaks[count]],
            other_values=[peaks[1]],
        )
        for count in (10, 100)
    ]
