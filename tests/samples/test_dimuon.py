"""The generated sample: the same for the same seed, physical, in whole clusters."""

import awkward as ak
import numpy as np
import pytest
import uproot

from facility.errors import UsageError
from facility.samples import cache, dimuon
from facility.samples.dimuon import DimuonParameters, generate

COLUMNS = ["nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Muon_charge"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def small_clusters(monkeypatch):
    monkeypatch.setattr(dimuon, "PER_CLUSTER", 2000)


def columns(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_the_same_seed_gives_the_same_events(home, small_clusters, tmp_path):
    one = columns(generate(DimuonParameters(events=5000, seed=3)))
    dimuon.write(tmp_path / "again.root", DimuonParameters(events=5000, seed=3))
    again = columns(tmp_path / "again.root")
    other = columns(generate(DimuonParameters(events=5000, seed=4)))
    assert one.to_list() == again.to_list()
    assert one.to_list() != other.to_list()


def test_it_is_written_once(home, monkeypatch):
    first = generate(DimuonParameters(events=10))
    monkeypatch.setattr(dimuon, "write", None)
    assert generate(DimuonParameters(events=10)) == first


def test_layout(home, small_clusters):
    path = generate(DimuonParameters(events=5000, seed=1))
    with uproot.open(path) as file:
        tree = file["Events"]
        assert tree.keys() == COLUMNS
        assert tree.num_entries == 5000
        assert tree.common_entry_offsets() == [0, 2000, 4000, 5000]
        events = tree.arrays()
    assert events.nMuon.to_list() == ak.num(events.Muon_pt).to_list()
    assert set(ak.flatten(events.Muon_charge).to_list()) == {-1, 1}
    for name in COLUMNS[1:]:
        assert np.all(np.isfinite(ak.flatten(events[name]).to_numpy()))
    assert ak.min(events.Muon_pt) > 0
    assert path.stat().st_size < 5000 * dimuon.BYTES_PER_EVENT


def test_pairs_come_from_the_z(home):
    events = columns(generate(DimuonParameters(events=20_000, seed=1, signal=1.0)))
    pairs = events[events.nMuon == 2]
    p = {n: pairs[f"Muon_{n}"].to_numpy().astype(float).T for n in ("pt", "eta", "phi")}
    # Four-momenta added up: not the formula of facility.columnar.
    px, py = p["pt"] * np.cos(p["phi"]), p["pt"] * np.sin(p["phi"])
    pz = p["pt"] * np.sinh(p["eta"])
    energy = np.sqrt(px**2 + py**2 + pz**2)
    squared = energy.sum(0) ** 2 - sum(c.sum(0) ** 2 for c in (px, py, pz))
    mass = np.sqrt(squared)
    assert np.median(mass) == pytest.approx(dimuon.Z_MASS_GEV, abs=0.1)
    # 1.5 % of each momentum makes 1 % of the mass: with the width, 2.2 GeV quartiles.
    low, high = np.quantile(mass, [0.25, 0.75])
    assert 1.8 < high - low < 3.2
    opposite = np.mean(pairs.Muon_charge[:, 0] != pairs.Muon_charge[:, 1])
    assert opposite == pytest.approx(0.98, abs=0.01)
    # The Z is not at rest: its transverse momentum is what it was given.
    assert np.mean(np.hypot(px.sum(0), py.sum(0))) == pytest.approx(12, rel=0.1)


def test_a_full_disk_is_said_first(home, monkeypatch):
    monkeypatch.setattr(
        cache.shutil, "disk_usage", lambda _: type("U", (), {"free": 2**20})
    )
    with pytest.raises(UsageError, match="is full: 1 MiB free"):
        generate(DimuonParameters(events=4_000_000))
