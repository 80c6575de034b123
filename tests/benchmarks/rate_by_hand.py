"""Run by the benchmark: the dimuon analysis as a person writes it, on one core.

Usage: rate_by_hand.py FILE. Prints events, seconds of the second pass, and how many
pairs are in the histogram.
"""

import os
import sys
import time
from typing import Any

import awkward as ak
import hist
import numpy as np
import uproot

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
COLUMNS = ["nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge"]


def analyse(path: str) -> tuple[int, hist.Hist[Any]]:
    """Return the number of events and the mass of opposite-sign pairs."""
    mass: hist.Hist[Any] = hist.Hist(hist.axis.Regular(120, 60, 120, name="mass"))
    total = 0
    for events in uproot.iterate(f"{path}:Events", COLUMNS, step_size=500_000):
        total += len(events)
        pairs = events[events.nMuon == 2]
        pairs = pairs[ak.sum(pairs.Muon_charge, axis=1) == 0]
        pt, eta, phi = pairs.Muon_pt, pairs.Muon_eta, pairs.Muon_phi
        squared = (
            2
            * (pt[:, 0] * pt[:, 1])
            * (np.cosh(eta[:, 0] - eta[:, 1]) - np.cos(phi[:, 0] - phi[:, 1]))
        )
        mass.fill(np.sqrt(squared))
    return total, mass


analyse(sys.argv[1])
start = time.perf_counter()
count, histogram = analyse(sys.argv[1])
print(count, time.perf_counter() - start, histogram.sum())
