"""What a person is told once something was frozen: how much, and what is not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facility.text import amount, counted

if TYPE_CHECKING:
    from offload.snapshot import Snapshot

_LEFT_OUT = ": left out: "
_SHOWN = 5


def size_words(snapshot: Snapshot) -> str:
    """Say how much was frozen: ``11 files (93.1 kB)``."""
    files = sum(part.files for part in snapshot.parts)
    size = sum(part.size for part in snapshot.parts)
    return f"{counted(files, 'file')} ({amount(size)})"


def warning_lines(snapshot: Snapshot) -> list[str]:
    """Return what to warn of; what is left out for one reason in one line.

    The environment that goes along is not said to be left out of the code.
    """
    lines: list[str] = []
    left_out: dict[str, list[str]] = {}
    code = snapshot.part("code")
    environment = snapshot.part("env")
    for warning in snapshot.warnings:
        path, mark, reason = warning.rpartition(_LEFT_OUT)
        if not mark:
            lines.append(warning)
        elif not (code and environment and f"{code.mount}/{path}" == environment.mount):
            left_out.setdefault(reason, []).append(path)
    for reason, paths in left_out.items():
        more = len(paths) - _SHOWN
        names = ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"left out ({reason}): {names}")
    return lines
