"""Traces: what a job has read of an image, in order, for bundles and for choices."""

from __future__ import annotations

import re
import threading
from collections.abc import Container, Iterable
from pathlib import Path

from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.reading.bundles import Use
from offload.cache.writing import replace_file

_LINE = re.compile(r"([0-9a-f]{40})([PCHX]?) ([0-7]{1,3}) (-?\d{1,12}) (\d{1,15})")
_MUCH = 0.1


class Trace:
    """Objects by their first use. Thread-safe."""

    def __init__(self) -> None:
        self._uses: dict[ObjectName, tuple[Use, int]] = {}
        self._lock = threading.Lock()

    def note(self, use: Use, size: int) -> None:
        """Note that an object was read, of so many bytes of content."""
        with self._lock:
            self._uses.setdefault(use.name, (use, size))

    @property
    def uses(self) -> tuple[Use, ...]:
        """What was read, in order of first use."""
        with self._lock:
            return tuple(use for use, _ in self._uses.values())

    @property
    def size(self) -> int:
        """Bytes of content that were read, each object counted whole."""
        with self._lock:
            return sum(size for _, size in self._uses.values())

    def __len__(self) -> int:
        return len(self._uses)

    def merge(self, others: Iterable[Trace]) -> None:
        """Add what others have read, after what is here."""
        for other in others:
            with other._lock:
                found = tuple(other._uses.values())
            for use, size in found:
                self.note(use, size)

    def only(self, names: Container[ObjectName]) -> Trace:
        """Return what is among these objects."""
        found = Trace()
        with self._lock:
            found._uses = {n: use for n, use in self._uses.items() if n in names}
        return found

    def is_much_more_than(self, known: Trace) -> bool:
        """Whether enough is new for another bundle: a tenth of what was known."""
        with self._lock:
            new = sum(name not in known._uses for name in self._uses)
        return new > len(known) * _MUCH

    def save(self, path: Path) -> None:
        """Write it, a line per object: ``NAME MODE MTIME SIZE``."""
        with self._lock:
            lines = [
                f"{use.name} {use.mode:o} {use.mtime} {size}\n"
                for use, size in self._uses.values()
            ]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, "".join(lines).encode())

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read one; no file is an empty one."""
        try:
            return cls.parse(path.read_text("ascii", errors="replace"))
        except FileNotFoundError:
            return cls()

    @classmethod
    def parse(cls, text: str) -> Trace:
        """Read what :meth:`save` writes; what is no line of a trace is left out."""
        trace = cls()
        for line in text.splitlines():
            if found := _LINE.fullmatch(line):
                digest, suffix, mode, mtime, size = found.groups()
                name = ObjectName(bytes.fromhex(digest), Suffix(suffix))
                trace.note(Use(name, int(mode, 8), int(mtime)), int(size))
        return trace
