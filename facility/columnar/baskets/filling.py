"""Memory filled by the compiled decoder, and what it finds wrong as errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.baskets.faults import TEXTS, Fault
from facility.columnar.baskets.libraries import Contexts, addresses
from facility.columnar.baskets.machine import decoder
from facility.columnar.baskets.parts import Part
from facility.columnar.baskets.positions import Positions
from facility.columnar.baskets.requests import Row, Slot
from facility.columnar.baskets.sources import Source
from facility.columnar.buffers import Buffers
from facility.columnar.columns import Offsets
from facility.columnar.errors import ReadError

_UNCOMPRESSED = 4
"""First guess at how much larger an uncompressed basket is."""

Content = npt.NDArray[Any]
Grow = Callable[[Content, int], Content]


class MissingLibraryError(Exception):
    """The codec of a basket is not on this machine: other code has to read it."""


class Scratch(Buffers):
    """What decoding needs beside the memory of the result, for one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts = Contexts()


class Filler:
    """Decodes parts of one file that are fetched already; for one thread."""

    def __init__(
        self,
        source: Source,
        fetched: Mapping[int, int],
        scratch: Scratch,
    ) -> None:
        self._source = source
        self._fetched = fetched
        self._scratch = scratch

    def fill(self, part: Part, table: Positions, content: Content) -> None:
        """Put the numbers of baskets into ``content``, as the table says.

        Raises:
            ReadError: a basket is damaged.
            MissingLibraryError: its codec is not on this machine.
        """
        self._decode(part, table, content, None, None)

    def collect(
        self, part: Part, table: Positions, content: Content, grow: Grow
    ) -> Content:
        """Put all numbers of baskets into ``content``, one after another.

        Args:
            part: whose numbers.
            table: of its baskets.
            content: memory to begin with.
            grow: as in :meth:`append`.

        Raises:
            ReadError: as in :meth:`fill`.
            MissingLibraryError: as there.
        """
        return self._decode(part, table, content, None, grow)

    def append(
        self,
        part: Part,
        table: Positions,
        content: Content,
        offsets: Offsets,
        grow: Grow,
    ) -> Content:
        """Put vectors into ``content`` and where they begin into ``offsets``.

        Args:
            part: whose vectors.
            table: of its baskets.
            content: memory to begin with.
            offsets: one more than entries of the part.
            grow: gets the content so far and how many numbers are needed at least;
                returns larger memory with the former at its beginning.

        Raises:
            ReadError: as in :meth:`fill`.
            MissingLibraryError: as there.
        """
        offsets[0] = 0
        return self._decode(part, table, content, offsets, grow)

    def _decode(
        self,
        part: Part,
        table: Positions,
        content: Content,
        offsets: Offsets | None,
        grow: Grow | None,
    ) -> Content:
        if not len(table):
            return content if grow is None else content[:0]
        largest = int(part.sizes.max())
        raw = self._scratch.take("raw", np.uint8, largest)
        whole = self._scratch.take("whole", np.uint8, largest * _UNCOMPRESSED)
        if self._source.descriptor < 0:
            table[:, Row.SEEK] = [self._fetched[seek] for seek in part.seeks.tolist()]
        dtype = content.dtype
        request = np.zeros(len(Slot), np.int64)
        request[Slot.FUNCTIONS] = addresses().ctypes.data
        request[Slot.STATE] = self._scratch.contexts.state.ctypes.data
        request[Slot.FILE] = self._source.descriptor
        request[Slot.TABLE] = table.ctypes.data
        request[Slot.BASKETS] = len(table)
        request[Slot.ITEM_SIZE] = 0 if dtype.kind == "b" else dtype.itemsize
        request[Slot.LAYOUT] = part.baskets.layout
        request[Slot.RAW] = raw.ctypes.data
        request[Slot.OFFSETS] = 0 if offsets is None else offsets.ctypes.data
        decode = decoder()
        while True:
            request[Slot.SCRATCH] = whole.ctypes.data
            request[Slot.SCRATCH_SIZE] = whole.nbytes
            request[Slot.CONTENT] = content.ctypes.data
            request[Slot.CONTENT_ITEMS] = len(content)
            fault = Fault(decode(request.ctypes.data))
            expected = int(request[Slot.EXPECTED])
            match fault:
                case Fault.NONE:
                    return (
                        content
                        if grow is None
                        else content[: _filled(request, offsets)]
                    )
                case Fault.MORE_SCRATCH:
                    whole = self._scratch.take("whole", np.uint8, expected)
                case Fault.MORE_CONTENT:
                    assert grow is not None
                    content = grow(content[: _filled(request, offsets)], expected)
                case Fault.NO_LIBRARY:
                    raise MissingLibraryError(part.name)
                case _:
                    basket = part.first + int(request[Slot.BASKET])
                    got = int(request[Slot.GOT])
                    text = TEXTS[fault].format(expected=expected, got=got)
                    raise basket_error(self._source, part, basket, text)


def _filled(request: Positions, offsets: Offsets | None) -> int:
    """Return how many numbers are there, of baskets that do not say it beforehand."""
    if offsets is None:
        return int(request[Slot.FILLED])
    return int(offsets[request[Slot.ENTRY]])


def basket_error(source: Source, part: Part, basket: int, text: str) -> ReadError:
    """Return the error that names file, branch, basket and its entries."""
    return ReadError(
        f"{source.name}: branch {part.name!r}, {part.place(basket)}: {text}; copy the "
        "file again"
    )
