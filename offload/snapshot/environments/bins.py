"""How the groups of an environment become layers: not too many, and stable ones.

An image may not have hundreds of layers, and small distributions are many. The large
ones have a layer each; the small ones share a few, chosen by name, so that one that
changes moves little more than itself and never moves its neighbours about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from offload.snapshot.cuts import Group

LARGE = 1 << 20
"""Bytes from which on a group has a layer of its own."""
MOST_OF_THEIR_OWN = 48
BINS = 16


def bin_groups(
    groups: Sequence[Group],
    size_of: Callable[[bytes], int],
    most_of_their_own: int = MOST_OF_THEIR_OWN,
) -> tuple[Group, ...]:
    """Return the groups that become layers: at most ``most_of_their_own + BINS + 1``.

    What no installer's record lists is never mixed with what one does.

    Args:
        groups: of one part.
        size_of: bytes of a path of theirs.
        most_of_their_own: how many large ones have a layer each.
    """
    sizes = {group.name: sum(map(size_of, group.paths)) for group in groups}
    by_size = sorted(groups, key=lambda group: (-sizes[group.name], group.name))
    own = {g.name for g in by_size[:most_of_their_own] if sizes[g.name] >= LARGE}
    layers: list[Group] = []
    bins: dict[str, list[bytes]] = {}
    for group in groups:
        if group.name in own or not group.is_recorded:
            layers.append(group)
        else:
            bins.setdefault(_bin(group.name), []).extend(group.paths)
    layers += (
        Group(name, tuple(sorted(paths)), is_recorded=True)
        for name, paths in sorted(bins.items())
    )
    return tuple(layers)


def _bin(name: str) -> str:
    distribution = name.rpartition("-")[0] or name  # the same in every version
    digest = hashlib.sha256(distribution.encode(errors="surrogateescape")).digest()
    return f"small/{digest[0] % BINS}"
