"""Files in, one summed result out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facility.columnar.backends import Backend
from facility.columnar.caching import CacheUse, require_known
from facility.columnar.catalogue import Catalogue, Entry
from facility.columnar.columns import ColumnType
from facility.columnar.computing import Analysis, OnError, Task, require_on_error
from facility.columnar.estimating import WORKERS, Estimate
from facility.columnar.events import Events
from facility.columnar.executors import Where
from facility.columnar.files import PathLike, expand
from facility.columnar.formats import ColumnFile
from facility.columnar.inputs import Inputs
from facility.columnar.planning import CHUNK_BYTES, Chunk, require_size
from facility.columnar.probing import estimate
from facility.columnar.processors import Processor, is_processor
from facility.columnar.result import Result
from facility.columnar.running import run_chunks
from facility.columnar.schemas import SCHEMAS, Objects, Schema, schema_named
from facility.errors import UsageError


class Dataset:
    """Events in files of one kind: TTree, RNTuple or Parquet, here or at URLs.

    Making one reads metadata only, of several files at once.

    Args:
        files: a path, a URL, a glob, a folder, or a list of them.
        tree: name of the TTree or RNTuple; found if a file has one candidate.
        schema: how branches become objects: a name (``"nanoaod"``, ``"physlite"``,
            ``"lhcb"``), a :class:`Schema`, or its keys and values; seen from the names
            of the branches if none.
        metadata: what a person knows of the dataset: a cross-section, say.
        chunk_events: about how many events are computed at once; half a million if
            none, a million if columns are light.
        chunk_bytes: bound on what one chunk reads, uncompressed; chunks have fewer
            events if need be.
        folder: relative paths start here; none: the working directory.
        cache: which files' decoded columns are kept on disk for the next run:
            ``"remote"``, ``"always"`` or ``"never"``; see
            :mod:`facility.columnar.caching`.
        on_error: ``"skip"`` leaves out files that cannot be opened, and in runs chunks
            that cannot be read; results say which, and why.

    Raises:
        UsageError: ``cache`` or ``on_error`` is none of these, or a size is none.
        DatasetError: a file is missing, truncated, or has no such tree; the schema is
            none.
    """

    def __init__(
        self,
        files: PathLike | Iterable[PathLike],
        tree: str | None = None,
        *,
        schema: str | Schema | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        chunk_events: int | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        folder: Path | None = None,
        cache: CacheUse = "remote",
        on_error: OnError = "raise",
    ) -> None:
        self.schema = schema_named(schema, SCHEMAS)
        self.metadata = dict(metadata or {})
        self.chunk_events = (
            None if chunk_events is None else require_size("chunk_events", chunk_events)
        )
        self.chunk_bytes = require_size("chunk_bytes", chunk_bytes)
        self.cache = require_known(cache)
        self.on_error = require_on_error(on_error)
        self._inputs = Inputs(expand(files, folder), tree, self.on_error)

    @staticmethod
    def catalogue(path: PathLike) -> Catalogue[Dataset]:
        """Return the datasets of a catalogue file: ``catalogue(path)["ttbar"]``.

        See :mod:`facility.columnar.catalogue`.

        Raises:
            DatasetError: the file cannot be read, or says what no catalogue says.
        """

        def opened(entry: Entry, folder: Path) -> Dataset:
            return Dataset(
                entry.files,
                entry.tree,
                schema=entry.schema,
                metadata=entry.metadata,
                folder=folder,
            )

        return Catalogue(path, opened)

    def __len__(self) -> int:
        return self.entries

    def __repr__(self) -> str:
        return (
            f"Dataset({self.entries:,} events, files: {len(self._inputs.files)}, "
            f"tree {self._inputs.files[0].tree!r})"
        )

    @property
    def entries(self) -> int:
        """Events in all files."""
        return self._inputs.entries

    @property
    def columns(self) -> Sequence[str]:
        """Names of the branches (of the first file)."""
        return self._first.columns

    @property
    def objects(self) -> Objects:
        """What the branches are: collections and single objects (of the first file)."""
        return self._nothing.objects

    def type_of(self, name: str) -> ColumnType | None:
        """Return the type of a branch (of the first file): :meth:`Events.type_of`.

        Raises:
            MissingBranchError: there is no such branch.
        """
        return self._nothing.type_of(name)

    @property
    def _nothing(self) -> Events:
        return Events(self._first, 0, 0, self.schema)

    @property
    def _first(self) -> ColumnFile:
        return self._inputs.first

    def branches_of(self, analysis: Analysis) -> tuple[str, ...]:
        """Return the branches that the analysis touches, found without reading any.

        The analysis runs once over zero events. Empty if that fails, as it does if
        it needs at least one event: then columns are read as they are touched.

        Raises:
            MissingBranchError: it touches a branch that is not there.
            UsageError: it is a kernel that does not compile, or needs what is not here.
        """
        nothing = self._nothing
        try:
            analysis(nothing)
        except UsageError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, real chunks will tell
            return ()
        return nothing.touched

    def chunks(self, branches: Sequence[str] = ()) -> tuple[Chunk, ...]:
        """Return what a run computes one by one, aligned to clusters.

        Args:
            branches: what is read of each event: it bounds the size.

        Raises:
            MissingBranchError: a file lacks a branch that the first one has.
            DatasetError: a branch is of another type in another file.
        """
        return self._inputs.chunks(branches, self.chunk_events, self.chunk_bytes)

    def plan(self, analysis: Analysis, workers: Sequence[int] = WORKERS) -> Estimate:
        """Return what a run is expected to take, from about a second of probing here.

        Computes the first events; other machines may be faster or slower.

        Args:
            analysis: as of :meth:`run`.
            workers: numbers of them to make an estimate for.

        Raises:
            FacilityError: what :meth:`run` would raise at its first chunk.
        """
        if is_processor(analysis):
            analysis = Processor(analysis)
        branches = self.branches_of(analysis)
        chunks = [chunk for chunk in self.chunks(branches) if chunk.events]
        surveys = self._inputs.surveyed(branches)
        if not chunks:
            return Estimate(0, 0, branches, 0, 0, ())
        return estimate(
            # A probe that reads what the cache has would say nothing of the rest.
            Task(analysis, schema=self.schema, cache="never"),
            chunks,
            self._inputs.planned(chunks[0].file),
            branches,
            max((s.bytes_per_event for s in surveys), default=0),
            workers,
        )

    def run(
        self,
        analysis: Analysis,
        *,
        on: Where = None,
        branches: Sequence[str] | None = None,
        backend: Backend = "auto",
        on_error: OnError | None = None,
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
            backend: ``"cpu"``; ``"cuda"``: kernels and the arrays of ``events`` on an
                NVIDIA GPU; ``"auto"``: kernels on what is measured to be faster.
            on_error: ``"skip"`` leaves out chunks that cannot be read; the result says
                which, and why. The dataset's if none.
            progress: show a bar.

        Raises:
            UsageError: ``backend="cuda"`` where there is no GPU.
            MissingBranchError: a branch is not there, in one of the files.
            DatasetError: a branch is of another type in another file.
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
        first = self._inputs.files[0]
        chunks = self.chunks(branches) or (Chunk(0, first.identity, first.tree, 0, 0),)
        reasons = self._inputs.unreadable
        return run_chunks(
            Task(
                analysis,
                on_error or self.on_error,
                left_out={
                    chunk.index: reasons[chunk.file]
                    for chunk in chunks
                    if chunk.file in reasons
                },
                backend=backend,
                schema=self.schema,
                cache=self.cache,
                branches=tuple(branches),
            ),
            chunks,
            files=[file.identity for file in self._inputs.files],
            branches=branches,
            on=on,
            progress=progress,
        )
