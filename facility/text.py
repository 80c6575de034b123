"""How numbers, sizes, durations and moments are written for people."""

from __future__ import annotations

import re
import time


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write ``1 file`` or ``2,000 files``; ``many`` if it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def amount(size: float) -> str:
    """Write bytes: ``17 B``, ``2.5 MB`` (powers of 1000, as disks and networks)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1000
    return f"{size:.3g} TB"


def duration(seconds: float, *, is_fine: bool = True) -> str:
    """Write ``3 s``, ``4 min``, ``2 h 5 min`` or ``3 d 4 h``; finely also ``0.21 s``."""
    if is_fine and seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{int(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def moment(at: float, now: float) -> str:
    """Write a time of day as it is here, with the zone; another day's with the date."""
    there, here = time.localtime(at), time.localtime(now)
    is_today = there[:3] == here[:3]
    return time.strftime("%H:%M:%S %Z" if is_today else "%Y-%m-%d %H:%M %Z", there)


def reason(error: BaseException) -> str:
    """Write what an error says in one line, without the number the system gives it."""
    words = " ".join(str(error).split())
    return re.sub(r"\[Errno -?\d+\] ", "", words) or type(error).__name__


def shown(text: str) -> str:
    """Write somebody else's words so that they cannot command a terminal."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text
    )
