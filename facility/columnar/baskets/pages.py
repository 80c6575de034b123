"""Lists of numbers in pages of an RNTuple to columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from facility.columnar.baskets.filling import Content, Filler, Scratch
from facility.columnar.baskets.parts import Part
from facility.columnar.baskets.positions import Lists
from facility.columnar.baskets.sources import Source
from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column, Offsets
from facility.columnar.errors import ReadError

Fetch = Callable[[Iterable[Part]], Mapping[int, int]]
"""Gets the parts that are read next; returns where their pages are."""
_Key = tuple[bytes, bytes]


class PageReader:
    """Reads lists of one open file, for one thread, into one's memory."""

    def __init__(
        self, source: Source, fetch: Fetch, scratch: Scratch, memory: Buffers
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._scratch = scratch
        self._memory = memory

    def columns(
        self,
        lists: Mapping[str, Lists],
        start: int,
        stop: int,
        contents: Collection[str] = (),
    ) -> dict[str, Column]:
        """Return entries ``start`` to ``stop`` of lists.

        Of those in ``contents``, where the lists end is not read if all lists of some
        clusters are wanted: they come without offsets then.

        Raises:
            ReadError: a page is damaged.
            MissingLibraryError: a codec is not on this machine.
        """
        listed = {
            name: one
            for name, one in lists.items()
            if name not in contents or not _is_whole(one, start, stop)
        }
        offsets = self._offsets(listed, start, stop)
        parts: dict[str, Part] = {}
        for name, one in lists.items():
            if name in listed:
                low, high = offsets[_key(one)][[0, -1]]
            else:
                low, high = one.numbers[np.searchsorted(one.events, (start, stop))]
            parts[name] = Part(name, one.content, int(low), int(high), (start, stop))
        for ends in offsets.values():
            np.subtract(ends, ends[0], out=ends)
        filler = Filler(self._source, self._fetch(parts.values()), self._scratch)
        return {
            name: Column(
                self._read(filler, part),
                offsets[_key(lists[name])] if name in listed else None,
            )
            for name, part in parts.items()
        }

    def _offsets(
        self, lists: Mapping[str, Lists], start: int, stop: int
    ) -> dict[_Key, Offsets]:
        """Return where lists begin and the last one ends, in the numbers of the file.

        Lists that end on the same pages, as those of one collection's fields, have one
        array.
        """
        # The list before the first one ends where that begins.
        low = max(start - 1, 0)
        names = {_key(one): name for name, one in reversed([*lists.items()])}
        parts = {
            key: Part(f"{name} (ends)", lists[name].ends, low, stop)
            for key, name in names.items()
        }
        filler = Filler(self._source, self._fetch(parts.values()), self._scratch)
        found: dict[_Key, Offsets] = {}
        for key, name in names.items():
            ends = self._read(filler, parts[key])
            offsets = self._memory.take(f"{name}.offsets", np.int64, stop - start + 1)
            offsets[1 if start == 0 else 0 :] = ends
            found[key] = self._of_file(name, lists[name], offsets, start, stop)
        return found

    def _of_file(
        self, name: str, lists: Lists, offsets: Offsets, start: int, stop: int
    ) -> Offsets:
        """Make ends that are counted from the beginnings of clusters such of the file."""
        last = int(np.searchsorted(lists.events, stop, side="left"))
        first = max(int(np.searchsorted(lists.events, start, side="left")) - 1, 0)
        is_true = True
        for cluster in range(first, last):
            low, high = (int(e) for e in lists.events[cluster : cluster + 2])
            inside = slice(max(low + 1 - start, 0), min(high, stop) + 1 - start)
            offsets[inside] += lists.numbers[cluster]
            if low < high <= stop:
                is_true &= bool(offsets[high - start] == lists.numbers[cluster + 1])
        at = np.searchsorted(lists.events, start)
        if lists.events[at] == start:
            offsets[0] = lists.numbers[at]
        is_true &= offsets[0] >= 0 and offsets[-1] <= lists.numbers[-1]
        if not is_true or np.any(offsets[1:] < offsets[:-1]):
            raise ReadError(
                f"{self._source.name}: branch {name!r}, entries {start}..{stop}: lists "
                "do not end one after another; copy the file again"
            )
        return offsets

    def _read(self, filler: Filler, part: Part) -> Content:
        content: Content = self._memory.take(
            part.name, part.baskets.type.dtype, part.stop - part.start
        )
        filler.fill(part, part.flat(), content)
        return content


def _key(lists: Lists) -> _Key:
    """Return what lists have in common that end alike: where the file says so."""
    return lists.ends.seeks.tobytes(), lists.numbers.tobytes()


def _is_whole(lists: Lists, start: int, stop: int) -> bool:
    """Return whether these are all events of some clusters."""
    return start in lists.events and stop in lists.events
