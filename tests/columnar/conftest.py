"""Small files of muons, and the truth about them by plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from facility.columnar import leading, massless_pair_mass
from facility.columnar.formats import plan_cache

CLUSTER = 100
"""Events per cluster of the files."""
EVENTS = 1050
FIELDS = ("pt", "eta", "phi", "charge")


def make_muons(events: int = EVENTS, seed: int = 7) -> ak.Array:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, events)
    total = int(counts.sum())
    columns = {
        "pt": rng.uniform(20, 70, total).astype(np.float32),
        "eta": rng.uniform(-2, 2, total).astype(np.float32),
        "phi": rng.uniform(-3, 3, total).astype(np.float32),
        "charge": rng.choice(np.array([-1, 1], np.int32), total),
    }
    return ak.zip({k: ak.unflatten(v, counts) for k, v in columns.items()})


def write_ttree(path: Path, muons: ak.Array) -> Path:
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        kinds = "pt: float32, eta: float32, phi: float32, charge: int32"
        tree = file.mktree("Events", {"Muon": f"var * {{{kinds}}}"})
        for start in range(0, len(muons), CLUSTER):
            tree.extend({"Muon": muons[start : start + CLUSTER]})
    return path


def _flat_columns(muons: ak.Array) -> dict[str, ak.Array]:
    columns = {f"Muon_{f}": muons[f] for f in FIELDS}
    return columns | {"nMuon": ak.values_astype(ak.num(muons.pt), np.int32)}


def write_rntuple(path: Path, muons: ak.Array) -> Path:
    columns = _flat_columns(muons)
    with uproot.recreate(path) as file:
        ntuple = file.mkrntuple("Events", {k: v[:CLUSTER] for k, v in columns.items()})
        for start in range(CLUSTER, len(muons), CLUSTER):
            ntuple.extend({k: v[start : start + CLUSTER] for k, v in columns.items()})
    return path


def write_parquet(path: Path, muons: ak.Array) -> Path:
    columns = ak.zip(_flat_columns(muons), depth_limit=1)
    ak.to_parquet(columns, path, row_group_size=CLUSTER)
    return path


@pytest.fixture(scope="session", autouse=True)
def _plans_elsewhere(tmp_path_factory):
    """Plans of test files are no use to the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_cache, "KIND", str(tmp_path_factory.mktemp("plans")))
        yield


@pytest.fixture(scope="session")
def muons() -> ak.Array:
    return make_muons()


@pytest.fixture(scope="session")
def files(tmp_path_factory, muons) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("muons")
    return {
        "ttree": write_ttree(folder / "tree.root", muons),
        "rntuple": write_rntuple(folder / "ntuple.root", muons),
        "parquet": write_parquet(folder / "table.parquet", muons),
    }


@pytest.fixture(scope="session")
def ttree(files) -> Path:
    return files["ttree"]


@pytest.fixture(scope="session")
def dimuon_analysis() -> Callable:
    def analysis(events):
        first, second = leading(events.Muon, 2, where=events.nMuon == 2)
        opposite = first.charge != second.charge
        first, second = first[opposite], second[opposite]
        mass = massless_pair_mass(
            first.pt, first.eta, first.phi, second.pt, second.eta, second.phi
        )
        axis = hist.axis.Regular(40, 0, 200, name="mass")
        return hist.Hist(axis, storage=hist.storage.Int64()).fill(mass)

    return analysis


@pytest.fixture(scope="session")
def true_counts(muons) -> list[int]:
    """Counts by one loop over events: no numpy, no code of ours."""
    counts = [0] * 40
    for event in muons.to_list():
        if len(event) != 2 or event[0]["charge"] == event[1]["charge"]:
            continue
        a, b = event
        mass = math.sqrt(
            2
            * a["pt"]
            * b["pt"]
            * (math.cosh(a["eta"] - b["eta"]) - math.cos(a["phi"] - b["phi"]))
        )
        # No pair of this seed is within single precision of an edge (checked here).
        assert abs(mass / 5 - round(mass / 5)) > 1e-5
        if mass < 200:
            counts[int(mass / 5)] += 1
    return counts
