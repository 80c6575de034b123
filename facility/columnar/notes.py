"""What is odd about a chunk, counted while it is computed: ``NaN weights`` and such.

Whoever finds it calls :func:`note`, wherever it is: a kernel, or a function that fills
a histogram and knows nothing of events. The counts come back with the chunk's report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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


@contextmanager
def noting() -> Iterator[Counter[str]]:
    """Collect what is noted inside, in this thread."""
    notes: Counter[str] = Counter()
    token = _current.set(notes)
    try:
        yield notes
    finally:
        _current.reset(token)
