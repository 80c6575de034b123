"""What the queries answer about the events of a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the loop, and the makers of events

from facility.columnar.adl.queries import QUERIES
from facility.columnar.events import Events
from facility.columnar.formats import open_columns
from facility.columnar.reduction import add


@pytest.fixture(scope="session")
def asked():
    """Return the counts that a style gives for the events of a file, cut in pieces."""

    def ask(path, style, size=500_000):
        file = open_columns(path)
        counts = {}
        for query in QUERIES:
            total = {}
            for start in range(0, file.entries, size):
                events = Events(file, start, min(start + size, file.entries))
                total = add(total, query.histograms(query.analysis(style)(events)))
            for name, histogram in total.items():
                counts[name.removeprefix("q")] = histogram.values().tolist()
        file.close()
        return counts

    return ask
