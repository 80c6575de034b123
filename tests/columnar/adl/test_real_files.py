"""Real collisions and full simulation of others: the queries and the slow loop agree."""

from __future__ import annotations

import pytest
import uproot

from facility import samples
from facility.columnar.adl.queries import Style
from facility.columnar.adl.sample import COLLECTIONS, FLAT
from tests.columnar.adl import event_loop
from tests.columnar.adl.made_up import write

pytestmark = pytest.mark.engines

BTAGS = {
    "nano-dimuon": "btagDeepB",
    "nano-dy": "btagDeepB",
    "nano-tt-v15": "btagDeepFlavB",
}
"""Which of its b-tags stands for the queries' one."""


@pytest.fixture(params=BTAGS)
def real(request):
    """Return a sample's events as the slow loop takes them."""
    names = {"btag": BTAGS[request.param]}
    with uproot.open({samples.path(request.param): "Events"}) as tree:
        columns = {
            f"{collection}_{field}": tree[
                f"{collection}_{names.get(field, field)}"
            ].array()
            for collection, fields in COLLECTIONS.items()
            for field in fields
        }
        met = "MET" if "MET_pt" in tree else "PFMET"
        columns |= {n: tree[n.replace("MET", met)].array() for n in FLAT}
    return [
        {name: float(columns[name][i]) for name in FLAT}
        | {
            collection: [
                dict(zip(fields, values, strict=True))
                for values in zip(
                    *(columns[f"{collection}_{f}"][i].to_list() for f in fields),
                    strict=True,
                )
            ]
            for collection, fields in COLLECTIONS.items()
        }
        for i in range(len(columns["MET_pt"]))
    ]


@pytest.mark.parametrize("style", list(Style))
def test_real_events_agree_with_the_loop(tmp_path, asked, real, style):
    margin = event_loop.Margin()
    expected = event_loop.histograms(real, margin)
    assert margin.smallest > event_loop.ROUNDING
    assert sum(expected["1"]) == len(real)
    assert sum(expected["2"]) > 20
    assert asked(write(tmp_path / "real.root", real), style) == expected
