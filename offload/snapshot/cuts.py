"""What becomes a part of a snapshot, cut into what changes together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    published: Mapping[bytes, str] = field(default_factory=dict)
    """What a public index says its files hold: SHA-256 in URL-safe base64 without
    padding, of every path or of none."""

    @property
    def is_public(self) -> bool:
        """Whether anybody may have it, if its files hold what they should."""
        return bool(self.published)


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
