"""A task over the chunks of a plan: one sum, and the story of how it came about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from facility.columnar.code import code_digest
from facility.columnar.computing import ChunkReport, Task
from facility.columnar.errors import ChunkError
from facility.columnar.executors import Where, executor_for
from facility.columnar.executors.base import Computed
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.columnar.processors import Processor
from facility.columnar.progress import Progress
from facility.columnar.provenance import Provenance, environment
from facility.columnar.reduction import OrderedSum
from facility.columnar.result import Result


def run_chunks(
    task: Task,
    chunks: Sequence[Chunk],
    *,
    files: Sequence[FileIdentity],
    branches: Sequence[str] = (),
    on: Where = None,
    progress: bool = True,
) -> Result:
    """Return the sum over at least one chunk.

    Args:
        task: what is computed.
        chunks: with the indices 0, 1, 2 ... in this order.
        files: of the dataset.
        branches: what the analysis is known to read.
        on: see :meth:`Dataset.run`.
        progress: show a bar.

    Raises:
        ChunkError: a chunk could not be computed, or all had to be skipped.
        AnalysisError: the results cannot be added.
    """
    started = datetime.now(UTC)
    begin = time.perf_counter()
    total = OrderedSum(len(chunks))
    reports: dict[int, ChunkReport] = {}
    with executor_for(on) as executor, Progress(chunks, show=progress) as bar:
        for partial in executor.partials(task, chunks):
            if isinstance(partial, Computed):
                bar.computed(partial.index)
                continue
            indices = [report.index for report in partial.reports]
            total.put(indices, partial.value)
            reports |= dict(zip(indices, partial.reports, strict=True))
            bar.added(partial.reports)
    value = total.total()
    seconds = time.perf_counter() - begin
    in_order = tuple(reports[i] for i in sorted(reports))
    if value is None:
        raise ChunkError(
            f"nothing is left, all chunks were skipped ({len(chunks)}): "
            f"{in_order[0].skipped}"
        )
    if isinstance(task.analysis, Processor):
        value = task.analysis.finish(value)
    return Result(
        value,
        Provenance(
            code_digest=code_digest(task.analysis),
            environment_digest=environment().digest,
            executor=executor.name,
            files=tuple(files),
            branches=tuple(branches),
            plan=tuple(chunks),
            chunks=in_order,
            started=started.isoformat(timespec="milliseconds"),
            seconds=seconds,
        ),
        task,
    )
