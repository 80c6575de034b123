"""What chunks have cost on this machine, remembered from one session to the next.

A hint, not a record: who writes last wins, and what cannot be read is forgotten.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

from platformdirs import user_cache_path

from facility.columnar.fused.costs import Costs, Engine, Measured

MOST_PROGRAMS = 500
"""The oldest are forgotten beyond it: about a hundred kilobytes."""

Known = dict[str, Costs]


class Measurements:
    """Costs by program and machine, in one small file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: Known | None = None

    def costs(self, key: str) -> Costs:
        """Return what is known of a program."""
        with self._lock:
            if self._known is None:
                self._known = _load(self._path)
            return self._known.get(key, Costs())

    def add(self, key: str, engine: Engine, measured: Measured) -> None:
        """Remember a measurement; the file changes only if it tells something new."""
        before = self.costs(key)
        after = before.with_one(engine, measured)
        if after == before:
            return
        with self._lock:
            # Others have learnt in the meantime: keep what they know of other programs.
            known = _load(self._path) | {key: after}
            self._known = dict(list(known.items())[-MOST_PROGRAMS:])
            _save(self._path, self._known)


def remembered() -> Measurements:
    """Return the measurements of this person on this machine."""
    folder = user_cache_path("analysis-facility", appauthor=False) / "columnar"
    return Measurements(folder / "kernel-costs.json")


def _load(path: Path) -> Known:
    try:
        content = json.loads(path.read_text())
        return {
            key: Costs(
                *(tuple(Measured(**m) for m in costs[e]) for e in ("cpu", "cuda"))
            )
            for key, costs in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _save(path: Path, known: Known) -> None:
    text = json.dumps({key: asdict(costs) for key, costs in known.items()})
    with contextlib.suppress(OSError):  # a full disk only costs the memory of it
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
