"""Memory and opening time of datasets of 1, 10, 100 and 1,000 files.

    python tests/benchmarks/many_files.py [--files 1,10,100,1000] [--events N]

Each dataset is analysed twice, by a process of its own: the second time its files were
seen before. Prints the peak of resident memory, and CPU milliseconds per file of opening
and of everything.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def analyse(folder: Path, count: int) -> str:
    """Return what it took this process."""
    import numpy as np

    from facility.columnar import Dataset

    def analysis(events):
        columns = events.plain(("Jet_pt", "Jet_eta", "nJet", "MET_pt"))
        return float(np.sum(columns["Jet_pt"].content)) + float(np.sum(events.MET_phi))

    begin = time.process_time()
    dataset = Dataset([folder / f"{i}.root" for i in range(count)])
    opening = time.process_time() - begin
    dataset.run(analysis, progress=False)
    total = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{count:5} files: {peak:5.0f} MB at the peak, opening "
        f"{1000 * opening / count:6.2f} ms a file, all {1000 * total / count:6.2f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", default="1,10,100,1000")
    parser.add_argument("--events", type=int, default=20_000, help="of each file")
    parser.add_argument("--analyse", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.analyse:
        folder, count = arguments.analyse
        print(analyse(Path(folder), int(count)))
        return 0
    from facility.columnar.adl.writing import write_sample

    counts = [int(text) for text in arguments.files.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "0.root", arguments.events, basket_events=10_000)
        for i in range(1, max(counts)):
            (folder / f"{i}.root").hardlink_to(folder / "0.root")
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        for count in (counts[0], *counts):  # once more at first: kernels are compiled
            command = [sys.executable, __file__, "--analyse", name, str(count)]
            for is_counted in (False, True):
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, check=True
                )
                if is_counted:
                    print(done.stdout, end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
