"""What the queries answer about the events of a file."""

from __future__ import annotations

import numpy as np
import pytest
import uproot

from facility.columnar.adl.queries import QUERIES
from facility.columnar.adl.sample import blocks
from facility.columnar.events import Events
from facility.columnar.formats import open_columns
from facility.columnar.reduction import add
from tests.columnar.adl import event_loop


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


@pytest.fixture(scope="session")
def binning():
    return event_loop.BINNING


@pytest.fixture(scope="session")
def truth():
    """Return the counts of 2,500 events of seed 1, by the slow loop."""
    [events] = blocks(2500, seed=1)
    margin = event_loop.Margin()
    counts = event_loop.histograms(events.to_list(), margin)
    assert margin.smallest > event_loop.ROUNDING
    assert all(sum(c) > 40 for c in counts.values())
    return counts


@pytest.fixture
def without_muons(tmp_path):
    path = tmp_path / "met.root"
    with uproot.recreate(path) as file:
        file["Events"] = {"MET_pt": np.ones(3, np.float32)}
    return path
