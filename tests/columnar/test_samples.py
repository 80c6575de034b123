"""Real files of other people: every format is read, and twins agree."""

import awkward as ak
import hist
import numpy as np
import pytest

from facility import samples
from facility.columnar import Dataset, leading, pair_mass

pytestmark = pytest.mark.engines

ENTRIES = {
    "zmumu": 2304,
    "zmumu-zstd": 2304,
    "zmumu-lz4": 2304,
    "zmumu-zlib": 2304,
    "zmumu-lzma": 2304,
    "zmumu-uncompressed": 2304,
    "hzz": 2421,
    "hzz-zstd": 2421,
    "hzz-lz4": 2421,
    "hzz-zlib": 2421,
    "hzz-lzma": 2421,
    "hzz-uncompressed": 2421,
    "nano-dimuon": 40,
    "nano-dimuon-rntuple": 40,
    "nano-dy": 40,
    "nano-dy-rntuple": 40,
    "nano-tt-v12": 200,
    "nano-tt-v15": 200,
    "physlite-example": 100,
    "delphes": 25,
}


def test_every_sample_has_its_entries():
    found = {s.name: len(Dataset(samples.path(s.name))) for s in samples.SAMPLES}
    assert found == ENTRIES


def muons(events):
    pt = np.asarray(ak.flatten(events.Muon.pt))
    return {
        "number": hist.Hist.new.Int(0, 9).Int64().fill(np.asarray(events.nMuon)),
        "pt": hist.Hist.new.Reg(50, 0, 100).Int64().fill(pt),
    }


@pytest.mark.parametrize("name", ["nano-dimuon", "nano-dy"])
def test_a_tree_and_its_rntuple_twin_agree(name):
    tree, ntuple = (
        Dataset(samples.path(n), chunk_events=15).run(muons, progress=False).value
        for n in (name, f"{name}-rntuple")
    )
    assert tree == ntuple
    assert tree["pt"].sum(flow=True) > 0


@pytest.mark.parametrize("sample", ["zmumu", "hzz"])
def test_every_codec_gives_the_same(sample):
    def summed(events):
        name = "E1" if "E1" in events else "Muon_E"
        return float(ak.sum(events[name]))

    names = [s.name for s in samples.SAMPLES if s.name.startswith(sample)]
    sums = {Dataset(samples.path(n)).run(summed, progress=False).value for n in names}
    assert len(names) == 6
    assert len(sums) == 1


def test_zmumu_rows_are_500_collisions():
    def collisions(events):
        ids = zip(events.Run.to_list(), events.Event.to_list(), strict=True)
        return dict.fromkeys(ids, 1)

    dataset = Dataset(samples.path("zmumu"), chunk_events=100)
    found = dataset.run(collisions, progress=False).value
    assert len(found) == 500
    assert {run for run, _ in found} == {148029, 148031}
    for text in ("500 distinct", "148029 and 148031"):
        assert text in samples.sample("zmumu").citation


def test_masses_of_tracker_muons_are_those_in_the_file():
    """The file has a mass of its own in each row, from energies and momenta."""

    def differences(events):
        tracker = np.asarray(events.Type == "TT")
        first, second = (
            [np.asarray(events[f"{name}{i}"])[tracker] for name in ("pt", "eta", "phi")]
            for i in (1, 2)
        )
        mass = pair_mass(*first, 0.1056583755, *second, 0.1056583755)
        return {
            "sum": np.abs(mass - np.asarray(events.M)[tracker]).sum(),
            "rows": int(tracker.sum()),
        }

    found = Dataset(samples.path("zmumu")).run(differences, progress=False).value
    assert found["rows"] == 643
    assert found["sum"] < 643 * 1e-3


def test_leading_muons_of_nanoaod():
    def masses(events):
        one, two = leading(events.Muon, 2, where=events.nMuon == 2)
        return (
            hist.Hist.new.Reg(10, 0, 200)
            .Int64()
            .fill(
                pair_mass(
                    one.pt,
                    one.eta,
                    one.phi,
                    one.mass,
                    two.pt,
                    two.eta,
                    two.phi,
                    two.mass,
                )
            )
        )

    dataset = Dataset(samples.path("nano-dimuon"))
    result = dataset.run(masses, progress=False)
    pairs = dataset.run(lambda e: int(ak.sum(e.nMuon == 2)), progress=False).value
    assert result.hist.sum(flow=True) == pairs > 0
