"""What a merge did, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from offload.outputs.states import to_bytes, to_text


class Outcome(StrEnum):
    """What became of one path that the job changed."""

    CREATED = "created"
    REPLACED = "replaced"
    SAME = "same"
    """It was here already."""
    MODE_CHANGED = "mode changed"
    KEPT_BOTH = "kept in both versions"
    """Yours stayed; the job's is where ``placed`` says."""
    DELETED_THERE = "deleted by the job"
    """Nothing is deleted here."""
    ONLY_LANDED = "in the job's folder"
    REFUSED = "refused"
    """It stays in the job's folder; ``why`` says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One path of the job."""

    path: bytes
    """Absolute, here."""
    outcome: Outcome
    placed: bytes | None = None
    """Where the job's version is, if not at ``path``; absolute."""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "path": to_text(self.path),
            "outcome": self.outcome.value,
            "placed": None if self.placed is None else to_text(self.placed),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Item:
        placed = data["placed"]
        return cls(
            to_bytes(data["path"]),
            Outcome(data["outcome"]),
            None if placed is None else to_bytes(placed),
            data["why"],
        )

    def __str__(self) -> str:
        """Say it in one line, whatever bytes the name has."""
        parts = [f"{_shown(self.path)}: {self.outcome.value}"]
        if self.placed is not None:
            parts.append(f"the job's is {_shown(self.placed)}")
        if self.why:
            parts.append(self.why)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of everything that a job changed."""

    job: str
    items: tuple[Item, ...]
    notices: tuple[str, ...] = ()
    """What a person should know: globs that matched nothing, what could not travel."""

    @property
    def counts(self) -> dict[Outcome, int]:
        """Number of paths by what became of them."""
        return dict(Counter(item.outcome for item in self.items))

    @property
    def conflicts(self) -> tuple[Item, ...]:
        """Paths of which there are two versions now, or which were refused."""
        return tuple(
            item
            for item in self.items
            if item.outcome in {Outcome.KEPT_BOTH, Outcome.REFUSED}
        )

    def lines(self) -> list[str]:
        """Return what to show: numbers, then conflicts and notices one by one."""
        numbers = ", ".join(
            f"{n} {outcome.value}" for outcome, n in self.counts.items()
        )
        return [
            f"job {self.job}: {numbers or 'changed nothing'}",
            *(str(item) for item in self.conflicts),
            *self.notices,
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "items": [item.to_json() for item in self.items],
            "notices": list(self.notices),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        return cls(
            data["job"],
            tuple(Item.from_json(item) for item in data["items"]),
            tuple(data["notices"]),
        )

    def dumps(self) -> str:
        """Return JSON in ASCII; bytes that are no UTF-8 are lone surrogates in it."""
        return json.dumps(self.to_json(), indent=1)

    @classmethod
    def loads(cls, text: str | bytes) -> Report:
        return cls.from_json(json.loads(text))


def _shown(path: bytes) -> str:
    """Return a name that prints in one line on any terminal."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)
