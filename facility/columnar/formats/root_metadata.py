"""What uproot reads of a TTree or RNTuple, as a plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import uproot

from facility.columnar.baskets.positions import (
    Baskets,
    Layout,
    Lists,
    baskets_of,
    type_of_branch,
)
from facility.columnar.columns import ColumnType
from facility.columnar.formats.arrays import type_of_form
from facility.columnar.formats.plans import PlannedColumn, write_plan
from facility.columnar.formats.rntuple_pages import Pages


def is_rntuple(tree: Any) -> bool:
    """Return whether uproot's object is an RNTuple rather than a TTree."""
    return isinstance(tree, uproot.behaviors.RNTuple.HasFields)


def plan_of(name: str, tree: Any) -> tuple[bytes, bytes]:
    """Return index and body of the plan of uproot's tree; reads only metadata.

    A branch in a split object is a column by its path and by its own name, as in
    ``TTree::Draw``.

    Raises:
        Exception: whatever damaged metadata lead uproot to.
    """
    entries = int(tree.num_entries)
    if is_rntuple(tree):
        pages = Pages(tree)
        found = {str(name): _planned_field(pages, tree[name]) for name in tree.keys()}  # noqa: SIM118
        starts = [int(c.num_first_entry) for c in tree.cluster_summaries]
    else:
        found = {}
        own: dict[str, PlannedColumn] = {}
        for path, branch in tree.iteritems(recursive=True):
            planned = _planned_branch(branch)
            found.setdefault(str(path), planned)
            own.setdefault(str(path).rpartition("/")[2], planned)
        for short, planned in own.items():
            found.setdefault(short, planned)
        # Where the baskets of all branches begin: ROOT flushes them all at the end of
        # a cluster, and writers without clusters have such places too.
        starts = [int(o) for o in tree.common_entry_offsets()]
    boundaries = sorted({0, *starts, entries})
    return write_plan(name, found, boundaries, entries, is_rntuple=is_rntuple(tree))


def _planned_branch(branch: Any) -> PlannedColumn:
    try:
        baskets = baskets_of(branch)
    except ValueError:  # uproot will say of such a branch what is wrong with it
        baskets = _read_by_uproot(type_of_branch(branch))
    return PlannedColumn(baskets, int(branch.uncompressed_bytes))


def planned_column(tree: Any, name: str) -> PlannedColumn:
    """Return what uproot's tree says of one column.

    Raises:
        Exception: as :func:`plan_of`.
    """
    if is_rntuple(tree):
        return _planned_field(Pages(tree), tree[name])
    return _planned_branch(tree[name])


def _planned_field(pages: Pages, field: Any) -> PlannedColumn:
    form, _ = field.to_akform()
    is_top = field.name in form.fields  # a field of a record has that around it
    counts = pages.counts(field.field_id)
    plain = type_of_form(form.content(field.name), counts) if is_top else None
    if plain is None:
        return PlannedColumn(None, None)
    try:
        found = pages.of(field.field_id, plain)
    except ValueError:  # as above
        found = None
    if found is None:
        return PlannedColumn(_read_by_uproot(plain), None)
    if isinstance(found, Lists):
        return PlannedColumn(found, _size(found.content) + _size(found.ends))
    return PlannedColumn(found, _size(found))


def _size(pages: Baskets) -> int:
    """Return the bytes of all values."""
    return pages.last * pages.type.dtype.itemsize


def _read_by_uproot(plain: ColumnType | None) -> Baskets | None:
    if plain is None:
        return None
    none, zero = np.zeros(0, np.int64), np.zeros(1, np.int64)
    return Baskets(plain, Layout.OTHER, none, none, zero)
