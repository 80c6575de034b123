"""Chunk ranges as batch jobs, here or at a remote site; results are added at home."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from uuid import uuid4

from platformdirs import user_cache_path

from facility.columnar.computing import Partial, Task, serialise
from facility.columnar.errors import ChunkError
from facility.columnar.executors.batch_files import (
    Work,
    index_of,
    load_result,
)
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.columnar.remote import is_remote
from facility.errors import FacilityError, UsageError

JOBS = 16
"""Into so many elements a run is cut, if it has that many chunks."""

ATTEMPTS = 3
"""So often is a chunk computed that did not come back."""

POLL_S = 1.0
"""After so long we look whether elements are back while others still run."""

_NOT_AGAIN = frozenset({"cancelled", "refused"})
"""Ends of a job after which another one would end the same."""


class ResubmittedWarning(UserWarning):
    """Some chunks did not come back from a job and are computed by another."""


class BatchJob(Protocol):
    """What is asked of a job: see :class:`facility.client.Job`."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def outputs(self) -> Sequence[Path]: ...
    def wait(self, timeout: float | None = None) -> Any: ...
    def cancel(self) -> bool: ...


class Submit(Protocol):
    """What sends a job: see :func:`facility.client.submit`."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        count: int,
        inputs: Sequence[Path],
        name: str,
        **options: Any,
    ) -> BatchJob: ...


def _submit_as_a_person(command: Sequence[str], **options: Any) -> BatchJob:
    from facility.client import submit  # only who sends jobs needs what it needs

    job: BatchJob = submit(command, **options)
    return job


class Batch:
    """Each run is one job of some elements, which may end, fail or vanish.

    The results are the same bits as on every other executor. Chunks that do not come
    back, because an element ran out of time or memory or its machine broke, are sent
    again, with a :class:`ResubmittedWarning`. The analysis and the environment travel
    as with every job; local data files travel too, unless ``send_data`` is false: then
    the site must have them at the same paths. Files at URLs are read from there.
    Results stay in ``jobs/ID``.

    Args:
        jobs: elements that a run is cut into.
        send_data: whether files of the dataset travel.
        submit: what sends a job.
        options: of :func:`facility.client.submit`: ``site``, ``time``, ``memory`` ...
    """

    name = "batch"

    def __init__(
        self,
        *,
        jobs: int = JOBS,
        send_data: bool = True,
        submit: Submit | None = None,
        **options: Any,
    ) -> None:
        if jobs < 1:
            raise UsageError(f"Batch(jobs=...): expected at least 1, got {jobs}")
        self.jobs = jobs
        self.send_data = send_data
        self.submit = _submit_as_a_person if submit is None else submit
        self.options = options

    def partials(self, task: Task, chunks: Sequence[Chunk]) -> Iterator[Partial]:
        """Yield results as elements come back.

        Raises:
            ChunkError: a chunk failed for good, or did not come back from
                :data:`ATTEMPTS` jobs.
            AnalysisError: what the analysis returned cannot be used.
        """
        missing = {chunk.index: chunk for chunk in chunks}
        payload = serialise(task)
        tried: list[str] = []
        last: FacilityError | None = None
        while missing:
            if len(tried) == ATTEMPTS:
                chunk = next(iter(missing.values()))
                raise ChunkError(
                    f"{chunk}: not computed by {ATTEMPTS} jobs ({', '.join(tried)}): "
                    f"`facility logs {tried[-1]}` shows why"
                ) from last
            attempt = _Attempt(self, payload, tuple(missing.values()))
            for partial in attempt.results():
                del missing[partial.reports[0].index]
                yield partial
            tried.append(attempt.job.id)
            last = attempt.failure or last
            if missing:
                self._go_on(attempt, len(missing), len(tried))

    def _go_on(self, attempt: _Attempt, missing: int, tries: int) -> None:
        """Say that chunks are missing; raise if that will not change."""
        job, status = attempt.job, attempt.job.status
        if status in _NOT_AGAIN:
            raise ChunkError(
                f"job {job.id} was {status}, chunks not computed: {missing}; "
                "`facility jobs` shows why"
            )
        if tries < ATTEMPTS:
            why = f": {attempt.failure}" if attempt.failure else ""
            warnings.warn(
                f"job {job.id} {status}, chunks that are sent again: {missing}{why}",
                ResubmittedWarning,
                stacklevel=3,
            )


class _Attempt:
    """One job that computes the chunks that are missing."""

    def __init__(self, batch: Batch, task: bytes, chunks: Sequence[Chunk]) -> None:
        self._left = {chunk.index for chunk in chunks}
        self._run = uuid4().hex
        self.failure: FacilityError | None = None
        """Of a chunk that may succeed elsewhere."""
        parts = cut(chunks, batch.jobs)
        found = dict.fromkeys(chunk.file for chunk in chunks)
        files = tuple(file for file in found if not is_remote(file.path))
        work = Work(self._run, task, parts, batch.send_data)
        base = user_cache_path("analysis-facility") / "batch"
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It is frozen when the job is submitted, and not needed here any more then.
        with TemporaryDirectory(dir=base) as folder:
            work.save(Path(folder))
            options = dict(batch.options)
            inputs = [Path(folder), *options.pop("inputs", ())]
            if batch.send_data:
                inputs += [Path(file.path) for file in files]
            self.job = batch.submit(
                [sys.executable, "-m", f"{__package__}.batch_job", folder],
                count=len(parts),
                inputs=inputs,
                name=options.pop("name", f"{sum(c.events for c in chunks)} events"),
                **options,
            )
        self._elements = {
            chunk.index: f"{self.job.id}.{element}" if len(parts) > 1 else self.job.id
            for element, part in enumerate(parts)
            for chunk in part
        }
        if batch.send_data:
            self._check(files)

    def results(self) -> Iterator[Partial]:
        """Yield each chunk that comes back, once.

        Raises:
            FacilityError: the first failure that is final; the job is cancelled.
        """
        try:
            is_done = False
            while not is_done:
                try:
                    self.job.wait(timeout=POLL_S)
                except TimeoutError:
                    pass
                else:
                    is_done = True
                yield from self._arrived()
        finally:
            if not self.job.is_done:
                self.job.cancel()

    def _arrived(self) -> Iterator[Partial]:
        for path in self.job.outputs:
            index = index_of(path, self._run)
            if index is None or index not in self._left:
                continue
            result = load_result(path)
            self._left.remove(index)
            if isinstance(result, Partial):
                # Each element may have its own process ids: they alone tell nothing.
                (report,) = result.reports
                where = f"{report.where} (job {self._elements[index]})"
                yield replace(result, reports=(replace(report, where=where),))
            elif result.is_final:
                raise result.error
            else:
                self.failure = result.error

    def _check(self, files: Sequence[FileIdentity]) -> None:
        """Raise if what was frozen may not be what was planned."""
        for file in files:
            if FileIdentity.of(Path(file.path), file.uuid) != file:
                self.job.cancel()
                raise ChunkError(f"{file.path} changed while it was sent: run again")


def cut(chunks: Sequence[Chunk], parts: int) -> tuple[tuple[Chunk, ...], ...]:
    """Cut chunks into at most ``parts`` ranges of about as many events each.

    Every chunk is in exactly one range, ranges are in order, and none is empty.
    """
    total = max(1, sum(chunk.events for chunk in chunks))
    ranges: dict[int, list[Chunk]] = {}
    done = 0
    for chunk in chunks:
        # A chunk belongs where its middle lies.
        middle = 2 * done + chunk.events
        ranges.setdefault(middle * parts // (2 * total), []).append(chunk)
        done += chunk.events
    return tuple(tuple(part) for part in ranges.values())
