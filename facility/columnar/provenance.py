"""Where a result came from: code, environment, files, chunks, workers, time."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from facility.columnar.computing import ChunkReport
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk


@dataclass(frozen=True, slots=True)
class Provenance:
    """Enough to say what was computed, from what, by what and where."""

    code_digest: str
    """See :func:`facility.columnar.code.code_digest`."""
    environment_digest: str
    """See :func:`facility.environment.describe`; of the process that asked."""
    executor: str
    files: tuple[FileIdentity, ...]
    """Of the dataset, those without events too."""
    branches: tuple[str, ...]
    """Branches that the analysis is known to read; empty if it could not be asked."""
    plan: tuple[Chunk, ...]
    """What was computed, in the order in which it was added."""
    chunks: tuple[ChunkReport, ...]
    """What became of it, in the same order."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """Wall clock, from the plan to the sum."""

    @property
    def events(self) -> int:
        return sum(c.events for c in self.chunks)

    @property
    def bytes_read(self) -> int:
        return sum(c.bytes_read for c in self.chunks)

    @property
    def workers(self) -> dict[str, int]:
        """Number of chunks by ``host:pid``."""
        return dict(Counter(c.where for c in self.chunks))

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``json`` writes."""
        return asdict(self)


@cache
def environment_digest() -> str:
    """Return the digest of this process's environment, computed once."""
    from facility.environment import describe  # lists every distribution: on demand

    return describe().digest
