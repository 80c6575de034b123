"""One chunk on one worker: open, compute, report. The only code that runs remotely."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cloudpickle

from facility.columnar.errors import AnalysisError, ChunkError, one_line
from facility.columnar.events import Events
from facility.columnar.formats import reopen
from facility.columnar.planning import Chunk
from facility.errors import FacilityError

Analysis = Callable[[Events], Any]
"""What a person writes: columns in, something that can be added out."""


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What computing a chunk cost, and where it was."""

    index: int
    events: int
    bytes_read: int
    seconds: float
    where: str
    """``host:pid``."""


@dataclass(frozen=True, slots=True)
class Partial:
    """The result of one chunk."""

    value: Any
    report: ChunkReport


def compute(analysis: Analysis, chunk: Chunk) -> Partial:
    """Return the analysis of one chunk.

    Raises:
        ChunkError: the person's function or the reading failed (see ``__cause__``).
        AnalysisError: the function returned nothing.
        FacilityError: what the reading itself found wrong, unchanged.
    """
    begin = time.perf_counter()
    file = reopen(chunk.file, chunk.tree)
    before = file.bytes_read
    events = Events(file, chunk.start, chunk.stop)
    try:
        value = analysis(events)
    except FacilityError:
        raise
    except Exception as error:
        raise ChunkError(f"{chunk}: {one_line(error)}") from error
    if value is None:
        raise AnalysisError(
            "the analysis returned None, expected what can be added (a hist.Hist, a "
            "number, a dict or tuple of them): did it forget to return?"
        )
    return Partial(
        value,
        ChunkReport(
            index=chunk.index,
            events=chunk.events,
            bytes_read=file.bytes_read - before,
            seconds=time.perf_counter() - begin,
            where=f"{socket.gethostname()}:{os.getpid()}",
        ),
    )


def serialise(analysis: Analysis) -> bytes:
    """Return the function by value, with what it refers to in a notebook."""
    payload: bytes = cloudpickle.dumps(analysis)
    return payload


def compute_serialised(chunk: Chunk, analysis: bytes) -> Partial:
    """Do :func:`compute` for a function that came by :func:`serialise`."""
    return compute(_deserialised(analysis), chunk)


@lru_cache(maxsize=4)
def _deserialised(analysis: bytes) -> Analysis:
    function: Analysis = cloudpickle.loads(analysis)
    return function
