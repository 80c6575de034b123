"""What comes back from another process: the result of a chunk, or why there is none."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import cloudpickle

from facility.columnar.computing import Partial, compute_serialised
from facility.columnar.errors import (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
    ReadError,
    one_line,
)
from facility.columnar.planning import Chunk
from facility.errors import FacilityError

_KNOWN_AT_HOME = (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
    ReadError,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A chunk that was tried there and could not be computed."""

    error: FacilityError
    is_final: bool
    """Whether it would fail again elsewhere: the person's code, not the machine."""


def outcome(chunk: Chunk, task: bytes) -> tuple[bytes, FacilityError | None]:
    """Compute a chunk.

    Returns:
        The pickled :class:`Partial` or :class:`Failure`, and the latter's error.
    """
    try:
        result: Partial | Failure = compute_serialised(chunk, task)
    except FacilityError as error:
        result = Failure(_portable(error), not isinstance(error.__cause__, OSError))
    except Exception as error:  # noqa: BLE001 - whatever loading a function may raise
        result = _hopeless(f"{chunk}: the analysis cannot be had there", error)
    try:
        payload: bytes = cloudpickle.dumps(result)
    except Exception as error:  # noqa: BLE001 - whatever a pickle may raise
        result = _hopeless(f"{chunk}: its result cannot be sent back", error)
        payload = cloudpickle.dumps(result)
    return payload, result.error if isinstance(result, Failure) else None


def _hopeless(what: str, error: Exception) -> Failure:
    return Failure(_portable(ChunkError(f"{what}: {one_line(error)}")), is_final=True)


def _portable(error: FacilityError) -> FacilityError:
    """Return an error that arrives at home, with the traceback as a note."""
    note = "".join(traceback.format_exception(error))
    if type(error) not in _KNOWN_AT_HOME:
        error = ChunkError(one_line(error))
    error.add_note(note)
    return error
