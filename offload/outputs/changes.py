"""What a job changed, as it travels in ``changes.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from offload.outputs.errors import PackError
from offload.outputs.states import State, to_bytes, to_text

VERSION = 1
"""Of ``changes.json``; a reader refuses others."""


class What(StrEnum):
    """What happened to a path between the freeze and the end of the job."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that is not as it was frozen."""

    area: bytes
    """Folder that ``path`` is relative to, absolute, as the job saw it."""
    path: bytes
    what: What
    frozen: State | None
    """Before; ``None`` for what was created."""
    now: State | None
    """After; ``None`` for what was deleted."""
    declared: bool
    """Whether one of the person's globs names it."""
    unsettled: bool = False
    """Somebody still wrote to it while it was packed: its bytes may be torn."""

    @property
    def about(self) -> str:
        """The path as the job saw it: what the journal of a merge calls it."""
        return to_text(self.area + b"/" + self.path)

    def to_json(self) -> dict[str, Any]:
        return {
            "area": to_text(self.area),
            "path": to_text(self.path),
            "what": self.what.value,
            "frozen": self.frozen and self.frozen.to_json(),
            "now": self.now and self.now.to_json(),
            "declared": self.declared,
            "unsettled": self.unsettled,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Change:
        return cls(
            area=to_bytes(data["area"]),
            path=to_bytes(data["path"]),
            what=What(data["what"]),
            frozen=State.from_json(data["frozen"]) if data["frozen"] else None,
            now=State.from_json(data["now"]) if data["now"] else None,
            declared=bool(data["declared"]),
            unsettled=bool(data["unsettled"]),
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that did not travel, and why."""

    path: bytes
    """Absolute, as the job saw it."""
    why: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that is not as it was frozen, sorted by area and path."""

    working: bytes
    """The working folder, absolute, as the job saw it."""
    changes: tuple[Change, ...]
    globs: tuple[str, ...] = ()
    """What the person declared."""
    unmatched: tuple[str, ...] = ()
    """Globs that name nothing that is there at the end."""
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "working": to_text(self.working),
            "globs": list(self.globs),
            "unmatched": list(self.unmatched),
            "left_out": [
                {"path": to_text(one.path), "why": one.why} for one in self.left_out
            ],
            "changes": [one.to_json() for one in self.changes],
        }

    @classmethod
    def from_json(cls, data: Any) -> Changes:
        """Read what :meth:`to_json` wrote.

        Raises:
            PackError: it is something else, or of another version.
        """
        try:
            if data["version"] != VERSION:
                raise PackError(
                    f"changes.json: expected version {VERSION}, got "
                    f"{data['version']!r}: the site runs another release"
                )
            return cls(
                working=to_bytes(data["working"]),
                changes=tuple(Change.from_json(one) for one in data["changes"]),
                globs=tuple(data["globs"]),
                unmatched=tuple(data["unmatched"]),
                left_out=tuple(
                    LeftOut(to_bytes(one["path"]), one["why"])
                    for one in data["left_out"]
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PackError(f"changes.json: not what it should be: {error}") from error

    def dumps(self) -> bytes:
        """Return JSON in ASCII, the same bytes for the same changes."""
        return json.dumps(self.to_json(), sort_keys=True, indent=1).encode()

    @classmethod
    def loads(cls, text: bytes) -> Changes:
        """Undo :meth:`dumps`.

        Raises:
            PackError: it is not JSON, or not of changes.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PackError(f"changes.json: not JSON: {error}") from error
        return cls.from_json(data)
