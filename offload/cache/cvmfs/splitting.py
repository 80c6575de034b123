"""Decides where a catalogue that has grown large is cut. Pure."""

from __future__ import annotations

from offload.cache.cvmfs.drafts import Draft
from offload.snapshot.tree import Kind

MOST_ROWS = 20_000
"""A catalogue with more is cut: some 1.5 MB on its way to a client."""
MOUNT_POINT_ROWS = 20
"""As many rows a mount point weighs: what holds many is written again, and fetched
again, with every revision."""
_LEAST_SHARE = 200
_LEAST_ROWS = 2 * MOUNT_POINT_ROWS
"""A part lighter than both is not worth a request of its own."""


def cuts(draft: Draft, most: int = MOST_ROWS) -> list[bytes]:
    """Return the folders that become nested catalogues, deepest first.

    Folders are cut, the heaviest first, until what remains weighs half of ``most``: it
    can grow before it is cut again. It weighs more where only single folders with many
    entries, or many light ones, are left.
    """
    if len(draft.rows) + MOUNT_POINT_ROWS * len(draft.nested) <= most:
        return []
    found: list[bytes] = []
    _weigh(draft, draft.root, most, found)
    return found


def _weigh(draft: Draft, root: bytes, most: int, found: list[bytes]) -> int:
    """Return what remains of a folder. Items are not so deep that recursion ends."""
    weight = 1
    folders: list[tuple[int, bytes]] = []
    for path, row in draft.listing(root):
        if row.is_mount_point:
            weight += 1 + MOUNT_POINT_ROWS
        elif row.kind is Kind.FOLDER:
            below = _weigh(draft, path, most, found)
            weight += below
            folders.append((below, path))
        else:
            weight += 1
    if weight <= most // 2:
        return weight
    for below, path in sorted(folders, reverse=True):
        if weight <= most // 2 or below < max(most // _LEAST_SHARE, _LEAST_ROWS):
            break
        found.append(path)
        weight += 1 + MOUNT_POINT_ROWS - below
    return weight
