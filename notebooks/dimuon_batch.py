"""The Z boson in real collisions as a program, to be run anywhere.

    facility samples path zmumu        # prints FILE
    facility submit --input FILE -- python dimuon_batch.py FILE

writes ``dimuon-batch.json``: the same histogram as in ``dimuon.ipynb``, which explains
the data and the selection. CMS open data (CC0), no simulation.
"""

import sys

import hist
import numpy as np

from facility.columnar import Dataset, massless_pair_mass


def mass(events):
    """Fill the mass of one pair per collision: two global muons, opposite charges."""
    rows = np.flatnonzero(events.Type == "GG")
    run, event = np.asarray(events.Run)[rows], np.asarray(events.Event)[rows]
    _, first_row = np.unique(np.stack([run, event]), axis=1, return_index=True)
    rows = rows[np.sort(first_row)]
    rows = rows[np.asarray(events.Q1)[rows] != np.asarray(events.Q2)[rows]]
    columns = ("pt1", "eta1", "phi1", "pt2", "eta2", "phi2")
    axis = hist.axis.Regular(120, 60, 120, name="mass", label=r"$m_{\mu\mu}$ [GeV]")
    return hist.Hist(axis, storage=hist.storage.Int64()).fill(
        massless_pair_mass(*(np.asarray(events[name])[rows] for name in columns))
    )


if __name__ == "__main__":
    result = Dataset(sys.argv[1]).run(mass, on="threads")
    result.save("dimuon-batch.json")
    print(result)
