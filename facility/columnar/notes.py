"""What is odd about a chunk, counted while it is computed: ``NaN weights`` and such.

Whoever finds it calls :func:`note`, wherever it is: a kernel, or a function that fills
a histogram and knows nothing of events. The counts come back with the chunk's report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import hist
import numpy as np

NAN_BINS = "chunks with NaN in a histogram"
"""Noted by :func:`has_nan`, for who fills histograms without telling."""

_current: ContextVar[Counter[str] | None] = ContextVar("notes", default=None)


def note(what: str, count: int = 1) -> None:
    """Count something of the chunk that this thread computes; outside of one, nothing.

    Args:
        what: words that a person reads beside the number: ``NaN weights``.
        count: how many of them; zero leaves no trace.
    """
    notes = _current.get()
    if notes is not None and count:
        notes[what] += int(count)


def has_nan(value: Any) -> bool:
    """Whether a histogram, or one in a dict, list or tuple, has a bin that is NaN."""
    if isinstance(value, hist.Hist):
        contents = value.values(flow=True)
        return bool(np.isnan(contents).any()) if contents.dtype.kind == "f" else False
    if isinstance(value, Mapping):
        return any(map(has_nan, value.values()))
    return isinstance(value, list | tuple) and any(map(has_nan, value))


@contextmanager
def noting() -> Iterator[Counter[str]]:
    """Collect what is noted inside, in this thread."""
    notes: Counter[str] = Counter()
    token = _current.set(notes)
    try:
        yield notes
    finally:
        _current.reset(token)
