"""Files in, one summed result out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from facility.columnar.computing import Analysis, OnError, Task
from facility.columnar.errors import MissingBranchError
from facility.columnar.events import Events
from facility.columnar.executors import Where
from facility.columnar.files import PathLike, expand
from facility.columnar.formats import ColumnFile, keep, open_columns, reopen
from facility.columnar.planning import CHUNK_EVENTS, Chunk, PlannedFile, plan
from facility.columnar.processors import Processor, is_processor
from facility.columnar.result import Result
from facility.columnar.running import run_chunks


class Dataset:
    """Events in files of one kind: TTree, RNTuple or Parquet.

    Making one reads metadata only.

    Args:
        files: a path, a glob, or a list of them.
        tree: name of the TTree or RNTuple; found if a file has one candidate.
        chunk_events: about how many events are computed at once.

    Raises:
        DatasetError: a file is missing, truncated, or has no such tree.
    """

    def __init__(
        self,
        files: PathLike | Iterable[PathLike],
        tree: str | None = None,
        *,
        chunk_events: int = CHUNK_EVENTS,
    ) -> None:
        self.chunk_events = chunk_events
        self._files = tuple(_planned(path, tree) for path in expand(files))

    def __len__(self) -> int:
        return self.entries

    def __repr__(self) -> str:
        return (
            f"Dataset({self.entries:,} events in {len(self._files)} files, "
            f"tree {self._files[0].tree!r})"
        )

    @cached_property
    def entries(self) -> int:
        """Events in all files."""
        return sum(f.entries for f in self._files)

    @property
    def columns(self) -> Sequence[str]:
        """Names of the branches (of the first file)."""
        return self._first.columns

    @property
    def _first(self) -> ColumnFile:
        return reopen(self._files[0].identity, self._files[0].tree)

    def branches_of(self, analysis: Analysis) -> tuple[str, ...]:
        """Return the branches that the analysis touches, found without reading any.

        The analysis runs once over zero events. Empty if that fails, as it does if
        it needs at least one event: then columns are read as they are touched.

        Raises:
            MissingBranchError: it touches a branch that is not there.
        """
        nothing = Events(self._first, 0, 0)
        try:
            analysis(nothing)
        except MissingBranchError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, real chunks will tell
            return ()
        return nothing.touched

    def plan(self) -> tuple[Chunk, ...]:
        """Return the chunks, aligned to clusters."""
        return plan(self._files, self.chunk_events)

    def run(
        self,
        analysis: Analysis,
        *,
        on: Where = None,
        branches: Sequence[str] | None = None,
        on_error: OnError = "raise",
        progress: bool = True,
    ) -> Result:
        """Return the sum of ``analysis(events)`` over all chunks.

        Each chunk is counted exactly once and chunks are added in order: the result
        is the same bits on every executor, whatever is lost and computed again.

        Args:
            analysis: gets :class:`Events`, returns what can be added: a ``hist.Hist``,
                a number, an array, or a dict, tuple or list of them. Or a processor
                of coffea's: see :class:`Processor`.
            on: ``"threads"`` (default), ``"processes"``, ``"serial"``, ``"batch"``
                (jobs elsewhere; or a :class:`Batch` with a site, a time ...), a Dask
                client or cluster.
            branches: what the analysis reads; found by :meth:`branches_of` if none.
            on_error: ``"skip"`` leaves out chunks that cannot be read; the result says
                which, and why.
            progress: show a bar.

        Raises:
            MissingBranchError: a branch is not there.
            ChunkError: reading or the analysis failed; names file and entries.
            AnalysisError: the results cannot be added.
        """
        if is_processor(analysis):
            analysis = Processor(analysis)
        if branches is None:
            branches = self.branches_of(analysis)
        else:
            known = Events(self._first, 0, 0)
            for name in branches:
                _ = known[name]
        # An analysis of no events has a result too.
        first = self._files[0]
        chunks = self.plan() or (Chunk(0, first.identity, first.tree, 0, 0),)
        return run_chunks(
            Task(analysis, on_error),
            chunks,
            files=[file.identity for file in self._files],
            branches=branches,
            on=on,
            progress=progress,
        )


def _planned(path: Path, tree: str | None) -> PlannedFile:
    """Read what planning needs; only the last few files stay open."""
    file = open_columns(path, tree)
    keep(file)
    return PlannedFile(file.identity, file.tree, file.entries, tuple(file.boundaries()))
