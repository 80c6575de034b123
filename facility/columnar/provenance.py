"""Where a result came from: code, environment, files, chunks, workers, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from facility.columnar.backends import Backend
from facility.columnar.computing import ChunkReport
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.columnar.remote import is_remote, shown

if TYPE_CHECKING:
    from facility.environment import Environment


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
    """What was computed, in the order of :mod:`facility.columnar.reduction`."""
    chunks: tuple[ChunkReport, ...]
    """What became of each of them."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """Wall clock, from the plan to the sum."""

    @property
    def events(self) -> int:
        """Events that are in the sum."""
        return sum(c.events for c in self.chunks)

    @property
    def bytes_read(self) -> int:
        return sum(c.bytes_read for c in self.chunks)

    @property
    def workers(self) -> dict[str, int]:
        """Number of chunks by ``host:pid``."""
        return dict(Counter(c.where for c in self.chunks))

    @property
    def backends(self) -> dict[Backend, int]:
        """Number of chunks by what computed them: ``cpu``, ``cuda``."""
        return dict(Counter(c.backend for c in self.chunks if not c.skipped))

    @property
    def notes(self) -> dict[str, int]:
        """What was counted over all chunks, such as ``NaN weights``."""
        total: Counter[str] = Counter()
        for chunk in self.chunks:
            total.update(chunk.notes)
        return dict(total)

    @property
    def skipped(self) -> dict[Chunk, str]:
        """Chunks that are not in the sum because they could not be read, and why."""
        return {self.plan[c.index]: c.skipped for c in self.chunks if c.skipped}

    def remarks(self) -> list[str]:
        """Return one line for each thing that a person should know of the sum."""
        lines = [f"{what}: {count:,}" for what, count in self.notes.items()]
        if self.skipped:
            events = sum(chunk.events for chunk in self.skipped)
            lines.append(
                f"chunks skipped: {len(self.skipped)} of {len(self.plan)} "
                f"(events: {events:,})"
            )
        return lines + list(self.skipped.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``json`` writes and :meth:`from_json` reads."""
        number = {file: i for i, file in enumerate(self.files)}
        return {
            "code_digest": self.code_digest,
            "environment_digest": self.environment_digest,
            "executor": self.executor,
            "started": self.started,
            "seconds": self.seconds,
            "branches": list(self.branches),
            # A URL may have a password in it, and results are passed on.
            "files": [asdict(f) | {"path": public(f.path)} for f in self.files],
            "chunks": [
                {
                    "file": number[chunk.file],
                    "tree": chunk.tree,
                    "start": chunk.start,
                    "stop": chunk.stop,
                    **asdict(report),
                }
                for chunk, report in zip(self.plan, self.chunks, strict=True)
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """Read what :meth:`to_json` returned.

        Raises:
            ValueError, TypeError, LookupError: it is something else.
        """
        files = tuple(FileIdentity(**file) for file in data["files"])
        plan, reports = [], []
        for index, whole in enumerate(data["chunks"]):
            one = dict(whole)
            file, tree = files[one.pop("file")], one.pop("tree")
            plan.append(Chunk(index, file, tree, one.pop("start"), one.pop("stop")))
            reports.append(ChunkReport(**one))
        return cls(
            code_digest=data["code_digest"],
            environment_digest=data["environment_digest"],
            executor=data["executor"],
            files=files,
            branches=tuple(data["branches"]),
            plan=tuple(plan),
            chunks=tuple(reports),
            started=data["started"],
            seconds=data["seconds"],
        )


def public(path: str) -> str:
    """Return a path, or a URL without what may be secret."""
    return shown(path) if is_remote(path) else path


@cache
def environment() -> Environment:
    """Return this process's environment, described once."""
    from facility.environment import describe  # lists every distribution: on demand

    return describe()
