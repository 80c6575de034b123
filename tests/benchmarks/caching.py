"""What the column cache gains: local and remote files, the first run and the next.

    python tests/benchmarks/caching.py [--events N] [--delay SECONDS]

The server is on loopback and waits before each answer. Prints wall and CPU seconds,
best of several.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from facility.columnar import Dataset
from facility.columnar.adl.writing import write_sample
from facility.columnar.caching import default_store
from tests.engines.columnar.file_server import FileServer

NAMES = ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "nJet", "MET_pt")


def analysis(events):
    found = events.plain(NAMES)
    return float(np.sum(found["Jet_pt"].content)) + len(found["MET_pt"])


def seconds(dataset, repeats: int = 3) -> tuple[float, float, int]:
    best = (float("inf"), float("inf"), 0)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = dataset.run(analysis, on="serial", progress=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        best = min(best, (wall, cpu, result.provenance.bytes_read))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--delay", type=float, default=0.02)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["FACILITY_COLUMN_CACHE"] = str(folder / "cache")
        default_store.cache_clear()
        write_sample(folder / "events.root", arguments.events)
        server = FileServer(folder)
        server.behaviour.delay_s = arguments.delay
        places = {
            "local": folder / "events.root",
            "remote": f"{server.url}/events.root",
        }
        try:
            for kind, path in places.items():
                without = seconds(Dataset(path, chunk_events=100_000, cache="never"))
                kept = Dataset(path, chunk_events=100_000, cache="always")
                first = seconds(kept, repeats=1)
                again = seconds(kept)
                rows = {"without": without, "first": first, "again": again}
                for what, (wall, cpu, read) in rows.items():
                    print(
                        f"{kind:7} {what:8} {wall:7.3f} s wall {cpu:7.3f} s CPU "
                        f"{read / 1e6:7.1f} MB read"
                    )
        finally:
            server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
