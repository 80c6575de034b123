"""Reading columns: ours, uproot's, and decompression alone, in one run.

Usage: python tests/benchmarks/reading.py [--events 1000000] [--rounds 30] [--json]

Events with jets as in the full ADL file (mean 3.2) are written with each codec in
baskets of 500,000 events, and in small ones of 10,000. Chunks of 500,000 events are
read from the disk's cache into buffers that are used again. The sides alternate, the
best CPU time of each counts: a busy neighbour only ever adds. *Decompression* is the
library's calls on the whole baskets of the same branches, from memory to memory.

Then: one file read by two threads against one after the other (wall clock, so on a
quiet machine only), beside two processes; and opening a file that was seen before.

Exit codes: 0 reading keeps 0.8 of decompression (ZSTD, baskets of 500,000 events), 1
it does not. Small baskets are printed only: getting 36 kB at a time out of the system's
cache costs a tenth of decompressing numbers that hardly compress.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from rich.console import Console
from rich.table import Table

from facility.columnar.baskets.libraries import Contexts, Function, addresses
from facility.columnar.buffers import Buffers
from facility.columnar.formats import open_columns, plan_cache

CHUNK = 500_000
SMALL = 10_000
SHARE = 0.8
"""Of decompression alone, that reading has to reach (ZSTD)."""
FILES = {
    "ZSTD": (uproot.ZSTD(5), CHUNK),
    "ZSTD, small baskets": (uproot.ZSTD(5), SMALL),
    "LZ4": (uproot.LZ4(4), CHUNK),
    "ZLIB": (uproot.ZLIB(1), CHUNK),
}
COLUMNS = {
    "MET": ["MET_pt"],
    "jets' pt": ["Jet_pt"],
    "jets and MET": ["MET_pt", "Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass"],
}


def main() -> int:
    """Measure, print, and say by the exit code whether the bar is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)  # the control
    arguments = parser.parse_args()
    if arguments.read:
        read_all(arguments.read, 1)
        print(wall_s(lambda: read_all(arguments.read, arguments.rounds)))
        return 0
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        paths = {
            name: write(Path(folder) / f"{i}.root", arguments.events, *how)
            for i, (name, how) in enumerate(FILES.items())
        }
        rows = [
            measured(name, what, path, columns, arguments.rounds)
            for name, path in paths.items()
            for what, columns in COLUMNS.items()
        ]
        others = {
            **side_by_side(paths["ZSTD"], arguments.rounds),
            **opening(paths["ZSTD"]),
        }
    if arguments.json:
        print(json.dumps({"rows": rows, **others}, indent=1))
    else:
        show(rows, others)
    shares = [row["share"] for row in rows if row["file"] == "ZSTD"]
    return 0 if min(shares) >= SHARE else 1


def write(path: Path, events: int, compression: Any, basket: int) -> Path:
    """Write events, seeded, in clusters of so many."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(3.2, events)
    total = int(counts.sum())
    jets = {
        "pt": 15 + rng.exponential(30, total),
        "eta": rng.normal(0, 1.8, total),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": rng.exponential(8, total),
    }
    lists = ak.zip(
        {k: ak.unflatten(v.astype(np.float32), counts) for k, v in jets.items()}
    )
    met = rng.exponential(30, events).astype(np.float32)
    kinds = "pt: float32, eta: float32, phi: float32, mass: float32"
    with uproot.recreate(path, compression=compression) as file:
        tree = file.mktree("Events", {"MET_pt": "float32", "Jet": f"var * {{{kinds}}}"})
        for start in range(0, events, basket):
            part = slice(start, start + basket)
            tree.extend({"MET_pt": met[part], "Jet": lists[part]})
    return path


def measured(
    file: str, what: str, path: Path, columns: list[str], rounds: int
) -> dict[str, Any]:
    """Return the best CPU milliseconds of all sides, and their ratios."""
    ours = open_columns(path)
    buffers = Buffers()
    tree = uproot.open(path, array_cache=None)["Events"]
    starts = range(0, ours.entries, CHUNK)

    def read() -> None:
        for start in starts:
            ours.plain(columns, start, min(start + CHUNK, ours.entries), buffers)

    def arrays() -> None:
        for start in starts:
            for name in columns:
                ours.read(name, start, min(start + CHUNK, ours.entries))

    def by_uproot() -> None:
        for start in starts:
            tree.arrays(columns, entry_start=start, entry_stop=start + CHUNK)

    needed = [*columns, "nJet"] if "Jet_pt" in columns else columns
    sides = (read, decompression(path, tree, needed), arrays, by_uproot)
    best = [float("inf")] * len(sides)
    for done in range(rounds):
        for i, side in enumerate(sides):
            if i < 2 or done % 5 == 0:  # the slow ones need fewer
                best[i] = min(best[i], cpu_ms(side))
    ours_ms, alone_ms, arrays_ms, uproot_ms = best
    return {
        "file": file,
        "columns": what,
        "ours_ms": ours_ms,
        "decompression_ms": alone_ms,
        "share": alone_ms / ours_ms,
        "uproot_ms": uproot_ms,
        "uproot_over_ours": uproot_ms / ours_ms,
        "uproot_over_arrays": uproot_ms / arrays_ms,
    }


def decompression(path: Path, tree: Any, columns: list[str]) -> Callable[[], None]:
    """Return what decompresses the baskets of branches, and does nothing else."""
    data = path.read_bytes()
    jobs: list[tuple[str, bytes, int]] = []
    for column in columns:
        branch = tree[column]
        for i in range(branch.num_baskets):
            seek = int(branch.member("fBasketSeek")[i])
            size = int(branch.member("fBasketBytes")[i])
            at = seek + int.from_bytes(data[seek + 14 : seek + 16], "big")
            if seek + size - at == int.from_bytes(data[seek + 6 : seek + 10], "big"):
                jobs.append(("", data[at : seek + size], seek + size - at))
                continue
            while at < seek + size:
                packed = int.from_bytes(data[at + 3 : at + 6], "little")
                whole = int.from_bytes(data[at + 6 : at + 9], "little")
                skip = 17 if data[at : at + 2] == b"L4" else 9  # a checksum more
                method = data[at : at + 2].decode()
                jobs.append((method, data[at + skip : at + 9 + packed], whole))
                at += 9 + packed
    target = ctypes.create_string_buffer(max(whole for _, _, whole in jobs))
    zstd = _function(Function.ZSTD_WHOLE, 5)
    lz4 = _function(Function.LZ4, 4)
    deflate = _function(Function.DEFLATE_ZLIB, 6)
    zstd_context = _function(Function.ZSTD_CREATE, 0)()
    deflate_context = _function(Function.DEFLATE_CREATE, 0)()
    contexts = Contexts()
    contexts.state[:2] = zstd_context, deflate_context  # given back with it
    out = ctypes.addressof(target)
    sources = [
        (method, ctypes.cast(ctypes.c_char_p(body), ctypes.c_void_p).value, body, whole)
        for method, body, whole in jobs
    ]

    def run() -> None:
        assert target
        assert contexts
        for method, source, body, whole in sources:
            match method:
                case "ZS":
                    zstd(zstd_context, out, whole, source, len(body))
                case "":  # stored as it is
                    ctypes.memmove(out, source, whole)
                case "L4":
                    lz4(source, out, len(body), whole)
                case "ZL":
                    deflate(deflate_context, source, len(body), out, whole, None)

    return run


def _function(which: Function, arguments: int) -> Any:
    kind = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_void_p] * arguments)
    return kind(int(addresses()[which]))


def cpu_ms(action: Callable[[], object]) -> float:
    """Return the CPU time of this process that an action takes."""
    begin = time.process_time()
    action()
    return (time.process_time() - begin) * 1000


def read_all(path: Path, times: int) -> None:
    """Read all columns so often, chunk by chunk."""
    file, buffers = open_columns(path), Buffers()
    for _ in range(times):
        for start in range(0, file.entries, CHUNK):
            stop = min(start + CHUNK, file.entries)
            file.plain(COLUMNS["jets and MET"], start, stop, buffers)


def side_by_side(path: Path, rounds: int) -> dict[str, float]:
    """Return how much faster two threads, and two processes, are than one.

    Repeated; the best of each counts, and even that is low on a busy machine.
    """
    read_all(path, 1)
    threads_s, processes_s, one_s = [], [], []
    command = [sys.executable, __file__, "--read", str(path), "--rounds", str(rounds)]
    for _ in range(3):
        one_s.append(wall_s(lambda: read_all(path, rounds)))
        with ThreadPoolExecutor(2) as threads:
            both = threads.map(
                lambda _: wall_s(lambda: read_all(path, rounds)), range(2)
            )
            threads_s.append(max(both))
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        processes_s.append(max(float(p.communicate()[0]) for p in started))
    return {
        "two_threads": 2 * min(one_s) / min(threads_s),
        "two_processes": 2 * min(one_s) / min(processes_s),
    }


def wall_s(action: Callable[[], object]) -> float:
    """Return seconds on the clock that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def opening(path: Path) -> dict[str, float]:
    """Return CPU milliseconds to open a file: seen by another process, by this one."""

    def ours() -> None:
        file = open_columns(path)
        _ = file.entries, file.columns, file.boundaries()
        file.close()

    def from_disk() -> None:
        plan_cache._kept.clear()
        ours()

    def by_uproot() -> None:
        uproot.open(path)["Events"].keys()

    return {
        "opening_ms": min(cpu_ms(from_disk) for _ in range(20)),
        "opening_again_ms": min(cpu_ms(ours) for _ in range(20)),
        "opening_uproot_ms": min(cpu_ms(by_uproot) for _ in range(5)),
    }


def show(rows: list[dict[str, Any]], others: dict[str, float]) -> None:
    """Print a table for people."""
    table = Table(title="CPU milliseconds of reading (best)")
    for title in ("file", "columns", "ours", "decompression", "share", "uproot"):
        table.add_column(title)
    table.add_column("x uproot")
    table.add_column("x uproot, as arrays")
    for row in rows:
        table.add_row(
            row["file"],
            row["columns"],
            f"{row['ours_ms']:.2f}",
            f"{row['decompression_ms']:.2f}",
            f"{row['share']:.2f}",
            f"{row['uproot_ms']:.2f}",
            f"{row['uproot_over_ours']:.2f}",
            f"{row['uproot_over_arrays']:.2f}",
        )
    console = Console(width=110)
    console.print(table)
    for name, value in others.items():
        console.print(f"{name.replace('_', ' ')}: {value:.2f}")


if __name__ == "__main__":
    sys.exit(main())
