"""Who works on what: two that are at work at once do not do the same twice."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Claims:
    """What somebody works on now, by digest. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    @contextmanager
    def claimed(self, digests: Collection[str]) -> Iterator[bool]:
        """Have all of these, or none: say whether nobody else has one of them."""
        with self._lock:
            is_ours = self._taken.isdisjoint(digests)
            if is_ours:
                self._taken.update(digests)
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._lock:
                    self._taken.difference_update(digests)
