"""Events that hypothesis makes, and how they become a file.

Few values in few places: what is rare in real data (equal momenta, values on a cut, a
turn around phi = pi, NaN, no objects at all) is common here.
"""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import uproot
from hypothesis import strategies as st

from facility.columnar.adl.sample import COLLECTIONS, FLAT

NAN = math.nan


def numbers(low, high, *special):
    """Return float32 numbers of a range, often one of the special ones."""
    floats = st.floats(np.float32(low), np.float32(high), width=32)
    return st.one_of(
        st.sampled_from([float(np.float32(x)) for x in special]),
        floats.map(lambda x: float(np.float32(x))),
    )


MOMENTA = numbers(1, 200, 10, 20, 30, 40, 40, 60, 120, NAN)
ETAS = numbers(-3, 3, -1, 1, 0, 0.4, -0.4, 2.5, NAN)
PHIS = numbers(-math.pi, math.pi, math.pi, -math.pi, 3.1, -3.1, 0, NAN)
BTAGS = numbers(0, 1, -1, 0, 1, 0.5, NAN)
CHARGES = st.sampled_from([-1, 1])
MASSES = numbers(0, 20, 0, 0.1056584, 91.2)


def particles(**more):
    return st.fixed_dictionaries(
        {"pt": MOMENTA, "eta": ETAS, "phi": PHIS, "mass": MASSES, **more}
    )


@st.composite
def lists_of(draw, particle, largest):
    """Return a list in which the same particle may come again."""
    distinct = draw(st.lists(particle, max_size=largest))
    again = draw(st.lists(st.sampled_from(distinct), max_size=2)) if distinct else []
    return draw(st.permutations([*distinct, *map(dict, again)]))


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "MET_pt": numbers(0, 2100, 0, 20, 2000, NAN),
            "MET_phi": PHIS,
            "Jet": lists_of(particles(btag=BTAGS), 5),
            "Muon": lists_of(particles(charge=CHARGES), 3),
            "Electron": lists_of(particles(charge=CHARGES), 2),
        }
    ),
    min_size=1,
    max_size=8,
)


def write(path, events):
    """Write events as a tree of the sample's layout, in baskets of 3 events."""
    types = dict.fromkeys(FLAT, np.float32)
    arrays = {name: np.array([e[name] for e in events], np.float32) for name in FLAT}
    for name, fields in COLLECTIONS.items():
        members = ", ".join(f"{field}: {dtype}" for field, dtype in fields.items())
        types[name] = f"var * {{{members}}}"
        offsets = np.cumsum([0, *(len(e[name]) for e in events)])
        contents = [
            ak.contents.NumpyArray(
                np.array([p[field] for e in events for p in e[name]], dtype)
            )
            for field, dtype in fields.items()
        ]
        arrays[name] = ak.Array(
            ak.contents.ListOffsetArray(
                ak.index.Index64(offsets),
                ak.contents.RecordArray(contents, list(fields)),
            )
        )
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        tree = file.mktree("Events", types)
        for start in range(0, len(events), 3):
            tree.extend({k: v[start : start + 3] for k, v in arrays.items()})
    return path
