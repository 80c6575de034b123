"""What becomes a part of a snapshot, cut into what changes together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Group:
    """Files that change together, such as those of one distribution."""

    name: str
    """``numpy-2.4.6``; unique within its part."""
    paths: tuple[bytes, ...]
    """Relative to the part's mount, sorted; no path is in two groups."""
    is_recorded: bool
    """Whether an installer is known to have put them there; else they may be a
    person's own."""


@dataclass(frozen=True, slots=True)
class PartCut:
    """One tree of a snapshot, not yet read."""

    role: str
    """``env``, ``interpreter`` or ``local/N``."""
    mount: Path
    """Where it is at home, and will be in the job; not everything below belongs."""
    groups: tuple[Group, ...]

    @property
    def unrecorded(self) -> tuple[bytes, ...]:
        """What no installer is known to have put there: a person's secrets could be."""
        return tuple(
            path
            for group in self.groups
            if not group.is_recorded
            for path in group.paths
        )
