"""What was added, changed and removed between two trees. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from offload.snapshot.tree import Tree


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths, sorted; folders that merely hold a change are none."""

    added: tuple[bytes, ...]
    changed: tuple[bytes, ...]
    """Content, permissions, target or kind are others."""
    removed: tuple[bytes, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.removed)


def difference(before: Tree, now: Tree) -> Difference:
    """Compare two trees, path by path."""
    old, new = before.by_path, now.by_path
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(p for p in new.keys() & old.keys() if new[p] != old[p])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )
