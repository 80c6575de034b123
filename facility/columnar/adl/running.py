"""One query over files: its histograms, and what it took."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facility.columnar.adl.histograms import Histogram
from facility.columnar.adl.queries import Query, Style
from facility.columnar.adl.writing import TREE
from facility.columnar.computing import Analysis
from facility.columnar.dataset import Dataset
from facility.columnar.events import Events
from facility.columnar.executors.local import Threads
from facility.columnar.files import PathLike, expand
from facility.columnar.formats import open_columns
from facility.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timing:
    """What one query took, reading included, compiling not."""

    query: int
    what: str
    events: int
    cpu_seconds: float
    """Of all threads of this process."""
    wall_seconds: float
    bytes_read: int
    """Compressed."""

    @property
    def kilo_events_per_cpu_second(self) -> float:
        return self.events / max(self.cpu_seconds, 1e-9) / 1000

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "kilo_events_per_cpu_second": self.kilo_events_per_cpu_second
        }


def ask(
    query: Query,
    files: Sequence[PathLike],
    style: Style = Style.KERNEL,
    threads: int = 1,
) -> tuple[Mapping[str, Histogram], Timing]:
    """Return the histograms of a query by name (``q1``, ``q6a``), and what it took.

    What is done once, such as compiling, is done before the clock starts, on one event.
    Opening the files counts.

    Raises:
        UsageError: a file is missing, is no tree ``Events`` or table, or lacks a branch.
        FacilityError: a chunk cannot be read.
    """
    analysis = query.analysis(style)
    _warm_up(analysis, files)
    wall, cpu = time.perf_counter(), time.process_time()
    dataset = Dataset(files, TREE, chunk_events=query.chunk_events(style))
    # One thread is this one: its memory is warm.
    on = "serial" if threads == 1 else Threads(threads)
    result = dataset.run(analysis, on=on, progress=False)
    timing = Timing(
        query=query.number,
        what=query.what,
        events=dataset.entries,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
        bytes_read=result.provenance.bytes_read,
    )
    return query.histograms(result.value), timing


def _warm_up(analysis: Analysis, files: Sequence[PathLike]) -> None:
    file = open_columns(expand(files)[0], TREE)
    try:
        analysis(Events(file, 0, min(1, file.entries)))
    finally:
        file.close()


def write_csv(path: Path, histogram: Histogram) -> None:
    """Write the bins as rows ``low,high,count`` below that header, GeV; no overflow.

    Raises:
        UsageError: the file cannot be written.
    """
    edges = [f"{edge:.10g}" for edge in histogram.axes[0].edges]
    counts = [int(count) for count in histogram.values()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("low", "high", "count"))
            rows.writerows(zip(edges[:-1], edges[1:], counts, strict=True))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
