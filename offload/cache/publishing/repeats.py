"""The same line is not logged again and again: a full disk need not fill up the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from facility.text import counted

_EVERY_S = 60.0
_MOST = 1000


class RepeatFilter(logging.Filter):
    """Lets a line through once a minute, with how often it was left out before.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}
        """By line: when it was let through, and how often it was left out since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        line, now = record.getMessage(), self._clock()
        at, left_out = self._seen.get(line, (now - _EVERY_S, 0))
        if now - at < _EVERY_S:
            self._seen[line] = at, left_out + 1
            return False
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[line] = now, 0
        if left_out:
            record.msg, record.args = (
                f"{line} (and {counted(left_out, 'time')} before)",
                (),
            )
        return True
