"""Entries of plain branches to columns, through the compiled decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.baskets.filling import Filler, Grow, Scratch, basket_error
from facility.columnar.baskets.pages import PageReader
from facility.columnar.baskets.parts import Part
from facility.columnar.baskets.positions import Baskets, Layout, Lists
from facility.columnar.baskets.sources import Source
from facility.columnar.buffers import Buffers, Pool
from facility.columnar.columns import Column, Offsets
from facility.columnar.errors import ReadError

_MOST_IN_ENTRY = 1 << 31

_SCRATCH = Pool(Scratch, 64 << 20)
"""For single baskets, whichever file they are of: as many as there are readers."""


class BasketReader:
    """Reads baskets of one open file; for one thread at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def columns(
        self,
        branches: Mapping[str, Baskets | Lists],
        names: Sequence[str],
        start: int,
        stop: int,
        memory: Buffers,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        """Return entries ``start`` to ``stop`` of the named branches.

        Args:
            branches: the named ones, and those that count them, none of layout
                ``OTHER``, and all with these entries in baskets of their own.
            names: keys of ``branches``.
            start: the first entry.
            stop: the one after the last, not before ``start``.
            memory: where contents and offsets are.
            contents: jagged ones of the named, of which the numbers are enough: no
                offsets come with them, and what counts them is not read as long as
                all entries of their baskets are wanted.

        Raises:
            ReadError: a basket is damaged, or contents counted by one branch differ in
                length.
            MissingLibraryError: a codec is not on this machine.
        """
        baskets = {n: b for n, b in branches.items() if isinstance(b, Baskets)}
        parts = {n: Part(n, baskets[n], start, stop) for n in names if n in baskets}
        alone = {n for n in contents if n in parts and _is_alone(parts[n])}
        try:
            found = self._columns(baskets, parts, alone, memory)
            self._require_same(contents, found, parts)
        except ReadError:
            if not alone:
                raise
            # What counts them knows whether they are damaged.
            found = self._columns(baskets, parts, set(), memory)
        lists = {n: b for n in names if isinstance(b := branches[n], Lists)}
        if lists:
            with _SCRATCH.lent() as scratch:
                pages = PageReader(self.source, self._fetch, scratch, memory)
                found |= pages.columns(lists, start, stop, contents)
        for name in contents:
            found[name] = Column(found[name].content)
        return {name: found[name] for name in names}

    def _columns(
        self,
        branches: Mapping[str, Baskets],
        parts: dict[str, Part],
        alone: AbstractSet[str],
        memory: Buffers,
    ) -> dict[str, Column]:
        groups = _groups(part for name, part in parts.items() if name not in alone)
        counts = {
            name: Part(name, branches[name], min(p.begin for p in lists), lists[0].stop)
            for name, lists in groups.items()
        }
        # A count branch is read once, whether or not it is wanted for itself.
        fetched = self._fetch((parts | counts).values())
        found: dict[str, Column] = {}
        with _SCRATCH.lent() as scratch:
            filler = Filler(self.source, fetched, scratch)
            for name, part in counts.items():
                lengths = _flat(filler, part, memory)
                ends = self._ends(part, lengths, memory)
                skipped = groups[name][0].start - part.start
                offsets = _from(ends, skipped, name, memory)
                found[name] = Column(lengths[skipped:])
                for lists in groups[name]:
                    content = _content(lists, int(offsets[-1]), memory)
                    filler.fill(lists, lists.counted(ends, part.start), content)
                    found[lists.name] = Column(content[: offsets[-1]], offsets)
            for name, part in parts.items():
                if name in found:
                    continue
                if name in alone:
                    found[name] = _alone(filler, part, memory)
                elif part.baskets.layout is Layout.VECTOR:
                    found[name] = _vectors(filler, part, memory)
                else:
                    found[name] = Column(_flat(filler, part, memory))
        return found

    def _require_same(
        self,
        contents: Sequence[str],
        found: Mapping[str, Column],
        parts: Mapping[str, Part],
    ) -> None:
        """Require equal lengths of contents that one branch counts."""
        lengths: dict[str, tuple[str, int]] = {}
        for name in (n for n in contents if n in parts):
            part, size = parts[name], len(found[name].content)
            counts = part.baskets.type.counts or name
            first, expected = lengths.setdefault(counts, (name, size))
            if size != expected:
                raise ReadError(
                    f"{self.source.name}: branch {name!r}, entries {part.start}.."
                    f"{part.stop}: {size} numbers, {expected} in {first!r}, and "
                    f"{counts!r} counts both; copy the file again"
                )

    def _fetch(self, parts: Iterable[Part]) -> Mapping[int, int]:
        ranges: list[tuple[int, int]] = []
        size = self.source.size_bytes
        for part in parts:
            ends = part.seeks + part.sizes
            if len(ends) and ends.max() > size:
                at = int(np.argmax(ends > size))
                text = f"it ends at byte {ends[at]} of {size}"
                raise basket_error(self.source, part, part.first + at, text)
            if self.source.descriptor < 0:
                ranges += zip(part.seeks.tolist(), ends.tolist(), strict=True)
            self.source.bytes_read += int(part.sizes.sum())
        return self.source.fetch(ranges)

    def _ends(self, part: Part, lengths: npt.NDArray[Any], memory: Buffers) -> Offsets:
        """Return the sums of the lengths of lists, from 0."""
        if len(lengths) and not 0 <= lengths.min() <= lengths.max() < _MOST_IN_ENTRY:
            raise ReadError(
                f"{self.source.name}: branch {part.name!r}, entries {part.start}.."
                f"{part.stop}: lengths of {lengths.min()} to {lengths.max()}, expected "
                "lengths of lists; copy the file again"
            )
        ends: Offsets = memory.take(f"{part.name}.ends", np.int64, len(lengths) + 1)
        ends[0] = 0
        np.cumsum(lengths, out=ends[1:])
        return ends


def _is_alone(part: Part) -> bool:
    """Return whether a content can be had without what counts it."""
    return part.baskets.layout is Layout.COUNTED and part.is_whole


def _groups(parts: Iterable[Part]) -> dict[str, list[Part]]:
    """Return the parts that have lists, by the branch that counts them."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        if part.baskets.layout is Layout.COUNTED:
            assert part.baskets.type.counts is not None
            groups.setdefault(part.baskets.type.counts, []).append(part)
    return groups


def _from(ends: Offsets, skipped: int, counts: str, memory: Buffers) -> Offsets:
    """Return the sums that begin after so many entries."""
    if not skipped:
        return ends
    offsets: Offsets = memory.take(f"{counts}.offsets", np.int64, len(ends) - skipped)
    np.subtract(ends[skipped:], ends[skipped], out=offsets)
    return offsets


def _content(part: Part, items: int, memory: Buffers) -> npt.NDArray[Any]:
    """Return memory for so many numbers, and what is behind them in a basket."""
    dtype = part.baskets.type.dtype
    return memory.take(part.name, dtype, items + part.most_behind // dtype.itemsize)


def _flat(filler: Filler, part: Part, memory: Buffers) -> npt.NDArray[Any]:
    content = _content(part, part.stop - part.start, memory)
    filler.fill(part, part.flat(), content)
    return content[: part.stop - part.start]


def _alone(filler: Filler, part: Part, memory: Buffers) -> Column:
    content, grow = _growing(part, memory)
    return Column(filler.collect(part, part.content(), content, grow))


def _vectors(filler: Filler, part: Part, memory: Buffers) -> Column:
    offsets = memory.take(f"{part.name}.offsets", np.int64, part.stop - part.start + 1)
    content, grow = _growing(part, memory)
    return Column(filler.append(part, part.vectors(), content, offsets, grow), offsets)


def _growing(part: Part, memory: Buffers) -> tuple[npt.NDArray[Any], Grow]:
    """Return memory for numbers of which nobody knows how many, and what makes more."""

    def grow(filled: npt.NDArray[Any], items: int) -> npt.NDArray[Any]:
        larger = _content(part, 2 * items, memory)
        larger[: len(filled)] = filled  # the same numbers, if it is the same memory
        return larger

    dtype = part.baskets.type.dtype
    guess = 2 * int(part.sizes.sum()) // dtype.itemsize
    room = memory.room(part.name, dtype) - part.most_behind // dtype.itemsize
    return _content(part, max(guess, room), memory), grow
