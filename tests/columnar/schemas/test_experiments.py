"""Files as the experiments write them: one analysis reads them all."""

import awkward as ak
import numpy as np
import pytest
import uproot

from facility import samples
from facility.columnar import Dataset, MissingBranchError, pair_mass

B_MASS = 5279.3


@pytest.fixture(scope="module")
def lhcb(tmp_path_factory):
    """One B -> K+ mu+ mu- candidate a row, as LHCb's tuple tools name it; MeV."""
    rng = np.random.default_rng(5)
    rows = 500
    columns = {"nTracks": rng.integers(10, 300, rows).astype(np.int32)}
    for name, mass in (("K_plus", 493.677), ("mu_plus", 105.658), ("B_plus", B_MASS)):
        px, py = rng.normal(0, 2000, (2, rows))
        pz = rng.uniform(1e4, 1e5, rows)
        energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
        columns |= {
            f"{name}_PX": px,
            f"{name}_PY": py,
            f"{name}_PZ": pz,
            f"{name}_PE": energy,
            f"{name}_PT": np.hypot(px, py),
            f"{name}_IPCHI2_OWNPV": rng.exponential(5, rows),
        }
    columns["B_plus_M"] = np.full(rows, B_MASS)
    path = tmp_path_factory.mktemp("lhcb") / "DVntuple.root"
    with uproot.recreate(path) as file:
        file["DecayTree"] = columns
    return path


def test_candidates_of_lhcb_are_records(lhcb):
    dataset = Dataset(lhcb)

    def analysis(events):
        b, mu = events.B_plus, events.mu_plus
        squared = b.energy**2 - b.px**2 - b.py**2 - b.pz**2
        return {
            "mass": float(np.sum(np.sqrt(np.asarray(squared)))),
            "same": bool(ak.all(b.px == b.PX)) and bool(ak.all(b.mass == b.M)),
            "ip": float(np.sum(np.asarray(mu.IPCHI2_OWNPV))),
        }

    found = dataset.run(analysis, on="serial", progress=False).value
    assert found["mass"] == pytest.approx(500 * B_MASS)
    assert found["same"]
    assert found["ip"] > 0
    with pytest.raises(
        MissingBranchError, match="B_plus has no field 'PY2'.*did you mean py"
    ):
        dataset.run(lambda e: e.B_plus.PY2, progress=False)


def test_shapes_of_lhcb(lhcb):
    seen = {}

    def analysis(events):
        shapes = events.objects.collections
        seen.update({name: shapes[name] for name in shapes})
        return len(events)

    Dataset(lhcb).run(analysis, on="serial", progress=False)
    assert set(seen) == {"K_plus", "mu_plus", "B_plus"}
    assert not any(shape.is_jagged for shape in seen.values())
    assert seen["K_plus"].coordinates.kind == "px py pz energy"
    assert seen["K_plus"].coordinates.fields == ("PX", "PY", "PZ", "PE")


SHAPES = [
    # sample, object, jagged, counts, coordinates
    ("nano-tt-v12", "Muon", True, "nMuon_pt", ("pt", "eta", "phi", "mass")),
    ("nano-tt-v15", "Jet", True, "nJet_pt", ("pt", "eta", "phi", "mass")),
    ("nano-tt-v12", "MET", False, None, None),
    ("nano-tt-v12", "Flag", False, None, None),
    ("physlite-example", "Muon", True, None, ("pt", "eta", "phi", 105.6583755)),
    ("physlite-example", "Electrons", True, None, ("pt", "eta", "phi", "m")),
    ("physlite-example", "TruthMuons", True, None, ("px", "py", "pz", "e")),
    ("physlite-example", "EventInfo", False, None, None),
    ("hzz", "Muon", True, "NMuon", ("Px", "Py", "Pz", "E")),
    ("delphes", "Jet", True, "Jet.fUniqueID", ("PT", "Eta", "Phi", "Mass")),
]


@pytest.mark.engines
@pytest.mark.parametrize(("sample", "name", "jagged", "counts", "fields"), SHAPES)
def test_shapes_of_real_files(sample, name, jagged, counts, fields):
    tree = "Delphes" if sample == "delphes" else None
    seen = []

    def analysis(events):
        seen.append(events.objects.collections[name])
        return len(events)

    Dataset(samples.path(sample), tree).run(analysis, on="serial", progress=False)
    shape = seen[0]
    assert (shape.is_jagged, shape.counts) == (jagged, counts)
    found = shape.coordinates.fields if shape.coordinates else None
    assert found == fields


@pytest.mark.engines
@pytest.mark.parametrize(
    ("sample", "pt"),
    [("nano-dy", "Muon_pt"), ("physlite-example", "AnalysisMuonsAuxDyn.pt")],
)
def test_one_analysis_reads_cms_and_atlas(sample, pt):
    def masses(events):
        muons = ak.zip({f: getattr(events.Muon, f) for f in ("pt", "eta", "phi")})
        one, two = ak.unzip(ak.combinations(muons, 2))
        mass = pair_mass(one.pt, one.eta, one.phi, 0, two.pt, two.eta, two.phi, 0)
        return {"pairs": int(ak.sum(ak.num(mass))), "muons": int(ak.count(muons.pt))}

    result = Dataset(samples.path(sample), chunk_events=30).run(masses, progress=False)
    assert pt in result.provenance.branches
    counts = uproot.open(samples.path(sample))[
        "Events" if sample.startswith("nano") else "CollectionTree"
    ][pt].array()
    lengths = [len(one) for one in counts]
    assert result.value["muons"] == sum(lengths) > 0
    assert result.value["pairs"] == sum(n * (n - 1) // 2 for n in lengths) > 0
