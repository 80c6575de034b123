"""Kernels on a GPU against the same kernels on one core, columns in host memory.

Usage: python tests/benchmarks/gpu.py [--largest 10000000] [--rounds 5] [--json]

Query 6 of the ADL benchmarks at 10,000 events and ten times as many up to the largest
size: warm, transfers and everything else that a chunk costs included, reading not. The
columns are in pinned memory, where the reader puts them if there is a GPU; beside it in
ordinary memory. Counts must be equal except for values within 1e-6 of a bin's edge,
which is looked at by how many entries differ.

Exit codes: 0 every bar is kept, 1 one is not, 2 there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import awkward as ak
import numpy as np
from rich.console import Console
from rich.table import Table

SMALLEST = 10_000
SPEED_UP = 20
"""Over one core, at the largest size."""
TOLERANCE = 1.1
"""Of the automatic choice, over the better back end."""
SEED = 6


@dataclass(frozen=True)
class Identity:
    path: str = "memory"


class InMemory:
    """Columns in host memory as a file of events; a chunk is the first so many."""

    identity = Identity()
    tree = "Events"

    def __init__(self, columns: dict[str, Any], offsets: Any) -> None:
        self._columns = columns
        self._offsets = offsets
        self.columns = [*columns, "nJet"]

    @classmethod
    def made_up(cls, events: int, *, is_pinned: bool) -> InMemory:
        from facility.columnar.adl.sample import blocks
        from facility.columnar.buffers import Buffers
        from facility.columnar.fused.cuda import pinned_buffers

        jets = [block.Jet for block in blocks(events, SEED)]
        buffers = pinned_buffers() if is_pinned else Buffers()

        def kept(name: str, parts: list[Any], dtype: Any) -> Any:
            memory = buffers.take(f"benchmark {name}", dtype, sum(map(len, parts)))
            return np.concatenate(parts, out=memory)

        columns = {
            f"Jet_{field}": kept(
                field, [ak.flatten(part[field]).to_numpy() for part in jets], np.float32
            )
            for field in ak.fields(jets[0])
        }
        counts = np.concatenate([ak.num(part).to_numpy() for part in jets])
        offsets = [np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]
        return cls(columns, kept("offsets", offsets, np.int64))

    def type_of(self, name: str) -> Any:
        from facility.columnar.columns import ColumnType

        is_jagged = name in self._columns
        dtype = np.dtype(np.float32 if is_jagged else np.int32)
        return ColumnType(dtype, is_jagged, "nJet" if is_jagged else None)

    def plain(
        self,
        names: Any,
        start: int,
        stop: int,
        buffers: Any = None,
        contents: Any = (),
    ) -> Any:
        from facility.columnar.columns import Column

        assert start == 0
        assert not contents
        offsets = self._offsets[: stop + 1]
        end = offsets[-1]
        return {name: Column(self._columns[name][:end], offsets) for name in names}


def seconds(file: InMemory, events: int, backend: Any) -> tuple[float, Any, str]:
    """Return how long a chunk takes, what it fills, and who did it."""
    from facility.columnar.adl.kernels import trijet
    from facility.columnar.backends import computing_with
    from facility.columnar.events import Events

    chunk = Events(file, 0, events)  # type: ignore[arg-type]
    with computing_with(backend) as computing:
        begin = time.perf_counter()
        value = trijet(chunk)
        return time.perf_counter() - begin, value, computing.used


def warm_median(file: InMemory, events: int, backend: Any, rounds: int) -> float:
    """Return the median of so many rounds, after one that is not counted."""
    seconds(file, events, backend)
    return median(seconds(file, events, backend)[0] for _ in range(rounds))


def differing(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Return how many entries are in other bins."""
    return sum(
        float(np.abs(h.values(flow=True) - second[n].values(flow=True)).sum()) / 2
        for n, h in first.items()
    )


def measure(largest: int, rounds: int) -> list[dict[str, Any]]:
    pinned = InMemory.made_up(largest, is_pinned=True)
    ordinary = InMemory.made_up(largest, is_pinned=False)
    sizes = [10**n for n in range(30) if SMALLEST <= 10**n < largest] + [largest]
    rows = []
    for events in sizes:
        row: dict[str, Any] = {"events": events}
        row["cpu_s"] = warm_median(ordinary, events, "cpu", rounds)
        row["cuda_s"] = warm_median(pinned, events, "cuda", rounds)
        row["cuda_ordinary_s"] = warm_median(ordinary, events, "cuda", rounds)
        for _ in range(4):  # each back end compiles, and is measured
            seconds(pinned, events, "auto")
        row["auto_s"] = warm_median(pinned, events, "auto", rounds)
        row["chosen"] = seconds(pinned, events, "auto")[2]
        on_cpu, on_gpu = (seconds(pinned, events, b)[1] for b in ("cpu", "cuda"))
        row["differing"] = differing(on_cpu, on_gpu)
        row["speed_up"] = row["cpu_s"] / row["cuda_s"]
        row["auto_over_better"] = row["auto_s"] / min(row["cpu_s"], row["cuda_s"])
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    columns = {
        "events": "events,",
        "cpu_s": "one core / s",
        "cuda_s": "GPU / s",
        "cuda_ordinary_s": "GPU, ordinary memory / s",
        "speed_up": f"speed-up (>= {SPEED_UP} at the largest)",
        "auto_over_better": f"auto / better (<= {TOLERANCE})",
        "chosen": "chosen",
        "differing": "entries in other bins",
    }
    found = Table(title="ADL query 6, columns in host memory, transfers included")
    for title in columns.values():
        found.add_column(title.rstrip(","), justify="right")
    for row in rows:
        found.add_row(
            *(
                f"{row[k]:.4g}" if isinstance(row[k], float) else str(row[k])
                for k in columns
            )
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    from facility.columnar.backends import why_no_cuda

    if absence := why_no_cuda("numba_cuda"):
        print(f"nothing measured: {absence}", file=sys.stderr)
        return 2
    rows = measure(arguments.largest, arguments.rounds)
    from facility.columnar.fused.cuda import device_name

    if arguments.json:
        print(json.dumps({"device": device_name(), "rows": rows}, indent=1))
    else:
        Console(width=160).print(device_name(), table(rows))
    kept = rows[-1]["speed_up"] >= SPEED_UP and all(
        row["auto_over_better"] <= TOLERANCE for row in rows
    )
    return 0 if kept else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # What is remembered of costs begins empty, and stays out of the person's cache.
        os.environ["XDG_CACHE_HOME"] = str(Path(folder))
        sys.exit(main())
