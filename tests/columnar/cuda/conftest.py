"""Made-up events, and what the CUDA simulator makes of them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

SCRIPT = Path(__file__).with_name("simulated.py")


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    rng = np.random.default_rng(5)
    events = 300
    counts = rng.integers(0, 5, events)
    counts[100:103] = 0
    counts[7] = 4
    total = int(counts.sum())
    weight = rng.normal(1, 0.5, events)
    weight[np.argmax(counts)] = np.nan  # six pairs
    muons = {
        "pt": rng.exponential(30, total).astype(np.float32),
        "eta": rng.normal(0, 1.5, total).astype(np.float32),
        "phi": rng.uniform(-np.pi, np.pi, total).astype(np.float32),
        "mass": np.full(total, 0.105, np.float32),
        "charge": rng.choice(np.array([-1, 1], np.int32), total),
    }
    columns = {
        "Muon": ak.zip({k: ak.unflatten(v, counts) for k, v in muons.items()}),
        "weight": ak.Array(weight),
    }
    path = tmp_path_factory.mktemp("cuda") / "events.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: array.type for name, array in columns.items()})
        file["Events"].extend(columns)
    return path


@pytest.fixture(scope="session")
def simulated(made_up, tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "found.pickle"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-W", "error", str(SCRIPT), str(made_up), str(out)]
    subprocess.run(command, check=True, env=environment)
    return pickle.loads(out.read_bytes())
