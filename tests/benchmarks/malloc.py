"""What the workers' malloc setting costs in memory over an hour of chunks.

Usage: python tests/benchmarks/malloc.py [--minutes 60] [--pause 0.0] [--json]

Three processes read the same chunks for the given time: glibc as it comes, Dask's
nanny (``MALLOC_TRIM_THRESHOLD_=65536``), and ours. Chunks differ in size (100,000 to
900,000 events, seeded), so that the heap sees more than one pattern. Prints resident
memory after a tenth of the time and at the end, page faults and CPU per million events.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from facility.columnar import Dataset, leading, massless_pair_mass
from facility.malloc import MALLOC
from facility.samples.dimuon import DimuonParameters, generate

SETTINGS = {
    "glibc": {},
    "dask's nanny": {"MALLOC_TRIM_THRESHOLD_": "65536"},
    "ours": MALLOC,
}


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def loop(path: str, minutes: float, pause_s: float) -> dict[str, float]:
    """Read chunks for so long; return what it took."""
    sizes = np.random.default_rng(7).integers(100_000, 900_000, 1000)
    datasets: dict[int, Dataset] = {}
    events, samples = 0, []
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for step in range(10**9):
        elapsed = time.monotonic() - start
        if elapsed > 60 * minutes:
            break
        size = int(sizes[step % 20] // 100_000 * 100_000)
        if size not in datasets:
            datasets[size] = Dataset(path, chunk_events=size)
        result = datasets[size].run(mass, on="serial", progress=False)
        events += len(datasets[size])
        samples.append((elapsed, resident_bytes()))
        time.sleep(pause_s)
        del result
    after = resource.getrusage(resource.RUSAGE_SELF)
    early = [size for elapsed, size in samples if elapsed < 6 * minutes]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "events_millions": events / 1e6,
        "rss_early_mb": max(early) / 1e6,
        "rss_end_mb": samples[-1][1] / 1e6,
        "rss_peak_mb": after.ru_maxrss * 1024 / 1e6,
        "faults_per_million": (after.ru_minflt - before.ru_minflt) / events * 1e6,
        "cpu_s_per_million": cpu_s / events * 1e6,
    }


def mass(events):  # type: ignore[no-untyped-def]
    """The dimuon analysis, as in ``rate_on_workers.py``."""
    import hist

    first, second = leading(events.Muon, 2, where=events.nMuon == 2)
    histogram = hist.Hist(hist.axis.Regular(120, 60, 120, name="mass"))
    return histogram.fill(
        massless_pair_mass(
            first.pt, first.eta, first.phi, second.pt, second.eta, second.phi
        )
    )


def main() -> None:
    """Run the three side by side and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0, help="seconds between passes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        print(json.dumps(loop(arguments.loop, arguments.minutes, arguments.pause)))
        return
    path = str(generate(DimuonParameters(4_000_000, 1)))
    command = [sys.executable, __file__, "--minutes", str(arguments.minutes)]
    command += ["--pause", str(arguments.pause), "--loop", path]
    running = {
        name: subprocess.Popen(
            command, env={**os.environ, **setting}, stdout=subprocess.PIPE
        )
        for name, setting in SETTINGS.items()
    }
    rows = {
        name: json.loads(process.communicate()[0]) for name, process in running.items()
    }
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    table = Table("setting", *next(iter(rows.values())))
    for name, row in rows.items():
        table.add_row(name, *(f"{value:,.1f}" for value in row.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
