"""How the groups of an environment become layers: not too many, and stable ones.

An image may not have hundreds of layers, and small distributions are many. The large
ones have a layer each; the small ones share a few, chosen by name, so that one that
changes moves little more than itself and never moves its neighbours about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from offload.snapshot.cuts import Group

LARGE = 1 << 20
"""Bytes from which on a group has a layer of its own."""
MOST_OF_THEIR_OWN = 48
LEFT_TO_PRIVATE = 8
"""Layers of their own that public groups leave to the others, however many they are."""
BINS = 16
BINS_OF_REST = 8
"""Of the rest of public distributions, mostly: little, and of all of them."""
MOST_LAYERS = MOST_OF_THEIR_OWN + BINS + BINS_OF_REST + 1


def bin_groups(
    groups: Sequence[Group],
    size_of: Callable[[bytes], int],
    most_of_their_own: int = MOST_OF_THEIR_OWN,
) -> tuple[Group, ...]:
    """Return the groups that become layers: ``MOST_LAYERS`` at most.

    What is public is never mixed with what is not, and its layers do not depend on that.
    What no installer's record lists is never mixed with what one does.

    Args:
        groups: of one part.
        size_of: bytes of a path of theirs.
        most_of_their_own: how many large ones have a layer each.
    """
    public = [group for group in groups if group.is_public]
    private = [group for group in groups if not group.is_public]
    sizes = {group.name: sum(map(size_of, group.paths)) for group in groups}
    own = _largest(public, sizes, most_of_their_own - LEFT_TO_PRIVATE)
    rest = _largest(private, sizes, most_of_their_own - len(own))
    return (
        *_bin_alike("small", public, own, BINS),
        *_bin_alike("local", private, rest, BINS_OF_REST if public else BINS),
    )


def _largest(groups: Sequence[Group], sizes: Mapping[str, int], most: int) -> set[str]:
    by_size = sorted(groups, key=lambda group: (-sizes[group.name], group.name))
    return {g.name for g in by_size[: max(0, most)] if sizes[g.name] >= LARGE}


def _bin_alike(
    kind: str, groups: Sequence[Group], own: set[str], bins: int
) -> Iterator[Group]:
    shared: dict[int, list[Group]] = {}
    for group in groups:
        if group.name in own or not group.is_recorded:
            yield group
        else:
            shared.setdefault(_bin(group.name, bins), []).append(group)
    for number, those in sorted(shared.items()):
        paths = sorted(path for group in those for path in group.paths)
        published = {p: sha for group in those for p, sha in group.published.items()}
        name = f"{kind}/{number}"
        yield Group(name, tuple(paths), is_recorded=True, published=published)


def _bin(name: str, bins: int) -> int:
    distribution = name.rpartition("-")[0] or name  # the same in every version
    digest = hashlib.sha256(distribution.encode(errors="surrogateescape")).digest()
    return digest[0] % bins
