"""One chunk on one worker: open, compute, report. The only code that runs remotely."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast, get_args

import cloudpickle

from facility.columnar.backends import Backend, computing_with, require_known
from facility.columnar.caching import CacheUse, cached
from facility.columnar.errors import AnalysisError, ChunkError, ReadError, one_line
from facility.columnar.events import Events
from facility.columnar.formats import reopen
from facility.columnar.notes import NAN_BINS, has_nan, note, noting
from facility.columnar.planning import Chunk
from facility.columnar.reduction import added
from facility.columnar.schemas import Schema
from facility.errors import FacilityError, UsageError

Analysis = Callable[[Events], Any]
"""What a person writes: columns in, something that can be added out."""

OnError = Literal["raise", "skip"]
"""What a chunk that cannot be read does: end the run, or count as skipped."""


def require_on_error(given: str) -> OnError:
    """Return it; raise a ``UsageError`` if it is not an :data:`OnError`."""
    if given not in get_args(OnError):
        raise UsageError(
            f"on_error={given!r}: expected 'raise' or 'skip' (what cannot be read)"
        )
    return cast("OnError", given)


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with every chunk; travels to workers by value."""

    analysis: Analysis
    on_error: OnError = "raise"
    left_out: Mapping[int, str] = field(default_factory=dict)
    """Chunks, by index, that count as skipped without a try, and why: a result that is
    computed again lacks what it lacked."""
    backend: Backend = "auto"
    schema: Schema | None = None
    """By which names of branches become objects; none: the one they look like."""
    cache: CacheUse = "remote"
    """Which files' columns are kept on disk."""
    branches: tuple[str, ...] = ()
    """What the analysis is known to touch; more may be."""

    def __post_init__(self) -> None:
        require_known(self.backend)
        require_on_error(self.on_error)


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What computing a chunk cost, where it was, and what was odd about it."""

    index: int
    """Position in the plan."""
    events: int
    """Events that were counted: none of a skipped chunk."""
    bytes_read: int
    seconds: float
    where: str
    """``host:pid``."""
    backend: Literal["cpu", "cuda"] = "cpu"
    """What computed it."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What was counted by :func:`facility.columnar.notes.note`: ``NaN weights``."""
    skipped: str = ""
    """Why it is not in the sum, in one line; empty if it is."""


@dataclass(frozen=True, slots=True)
class Partial:
    """The sum of one chunk, or of the consecutive chunks of a run."""

    value: Any
    """``None`` if all were skipped."""
    reports: tuple[ChunkReport, ...]


def compute(task: Task, chunk: Chunk) -> Partial:
    """Return the analysis of one chunk.

    Raises:
        ChunkError: the person's function or the reading failed (see ``__cause__``).
        AnalysisError: the function returned nothing.
        FacilityError: what the reading itself found wrong, unchanged.
    """
    begin = time.perf_counter()
    where = f"{socket.gethostname()}:{os.getpid()}"

    def skipped(reason: str) -> Partial:
        seconds = time.perf_counter() - begin
        report = ChunkReport(chunk.index, 0, 0, seconds, where, skipped=reason)
        return Partial(None, (report,))

    if chunk.index in task.left_out:
        return skipped(task.left_out[chunk.index])
    try:
        file = cached(reopen(chunk.file, chunk.tree), task.cache)
        before = file.bytes_read
        events = Events(file, chunk.start, chunk.stop, task.schema, task.branches)
        with noting() as notes, computing_with(task.backend) as computing:
            value = task.analysis(events)
            if not notes:  # whoever counted NaN weights has said more
                note(NAN_BINS, has_nan(value))
    except ReadError as error:
        if task.on_error == "raise":
            raise
        return skipped(str(error))
    except FacilityError:
        raise
    except Exception as error:
        raise ChunkError(f"{chunk}: {one_line(error)}") from error
    if value is None:
        raise AnalysisError(
            "the analysis returned None, expected what can be added (a hist.Hist, a "
            "number, a dict or tuple of them): did it forget to return?"
        )
    report = ChunkReport(
        index=chunk.index,
        events=chunk.events,
        bytes_read=file.bytes_read - before,
        seconds=time.perf_counter() - begin,
        where=where,
        backend=computing.used,
        notes=dict(notes),
    )
    return Partial(value, (report,))


def add_run(partials: Sequence[Partial]) -> Partial:
    """Return the sum of a run's chunks, given in order."""
    return Partial(
        added(p.value for p in partials), tuple(r for p in partials for r in p.reports)
    )


def serialise(task: Task) -> bytes:
    """Return the task by value, with what its function refers to in a notebook."""
    payload: bytes = cloudpickle.dumps(task)
    return payload


def compute_serialised(chunk: Chunk, task: bytes) -> Partial:
    """Do :func:`compute` for a task that came by :func:`serialise`."""
    return compute(_deserialised(task), chunk)


@lru_cache(maxsize=4)
def _deserialised(payload: bytes) -> Task:
    task: Task = cloudpickle.loads(payload)
    return task
