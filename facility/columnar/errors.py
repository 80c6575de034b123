"""What can go wrong between files and a histogram."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from facility.errors import FacilityError, UsageError


class DatasetError(UsageError):
    """A file is missing, truncated or not what it should be."""


class MissingBranchError(UsageError, AttributeError):
    """A branch that is not in the file.

    Also an ``AttributeError``, so that ``hasattr(events, "name")`` works.
    """


class AnalysisError(FacilityError):
    """The person's function failed, or returned what cannot be added."""


class ChunkError(FacilityError):
    """A chunk could not be read or computed; ``__cause__`` is the reason."""


class ReadError(ChunkError):
    """The data of a chunk cannot be read: what ``on_error="skip"`` skips."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the names that somebody who typed ``name`` may have meant."""
    by_lower: dict[str, str] = {}
    for one in known:
        by_lower.setdefault(one.lower(), one)
    lowered = name.lower()
    close = difflib.get_close_matches(lowered, by_lower, n=count, cutoff=0.5)
    if lowered in by_lower:
        close = [lowered, *(c for c in close if c != lowered)][:count]
    return [by_lower[c] for c in close]


def one_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
