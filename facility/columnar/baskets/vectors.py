"""``std::vector`` of numbers: each entry has a header and then its values.

The header is of ten bytes: a byte count with bit 30 set, that counts what follows it,
a version of two bytes and the number of values (ROOT, ``TBufferFile``'s
``WriteVersion`` and the collection streamers); all are big-endian.
"""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.faults import Fault
from facility.columnar.baskets.pointers import (
    Pointer,
    Word,
    bytes_at,
    compiled,
    integers_at,
)
from facility.columnar.baskets.requests import Row, Slot
from facility.columnar.baskets.swapping import swap

HEADER = 10

_NONE = int(Fault.NONE)
_MORE_CONTENT = int(Fault.MORE_CONTENT)
_VECTOR = int(Fault.VECTOR)
_COUNTED = 4
_MARK = 0x40000000

_ITEM_SIZE = int(Slot.ITEM_SIZE)
_CONTENT = int(Slot.CONTENT)
_CONTENT_ITEMS = int(Slot.CONTENT_ITEMS)
_OFFSETS = int(Slot.OFFSETS)
_ENTRY = int(Slot.ENTRY)
_EXPECTED = int(Slot.EXPECTED)
_GOT = int(Slot.GOT)
_ENTRIES = int(Row.ENTRIES)
_SKIP = int(Row.SKIP)
_TAKE = int(Row.TAKE)


@compiled
def unpack(source: Word, size: Word, row: Pointer, request: Pointer) -> Word:
    """Append the wanted entries of a basket of ``size`` bytes at ``source``.

    Returns a :class:`Fault`; only after ``NONE`` have the request's entries grown.
    """
    data = bytes_at(source)
    item = max(request[_ITEM_SIZE], 1)
    first, last = row[_SKIP], row[_SKIP] + row[_TAKE]
    offsets = integers_at(request[_OFFSETS] + 8 * request[_ENTRY])
    filled = offsets[0]
    most = filled + max(size - HEADER * row[_ENTRIES], 0) // item
    if most > request[_CONTENT_ITEMS]:
        request[_EXPECTED] = most
        return _MORE_CONTENT
    at = 0
    for entry in range(row[_ENTRIES]):
        if at + HEADER > size:
            request[_EXPECTED], request[_GOT] = size, at + HEADER
            return _VECTOR
        counted = _integer(data, at) ^ _MARK
        values = _integer(data, at + 6)
        length = values * item
        # Both say the length, and neither may reach beyond the basket.
        if counted != HEADER - _COUNTED + length or at + HEADER + length > size:
            request[_EXPECTED] = HEADER - _COUNTED + length
            request[_GOT] = counted
            return _VECTOR
        at += HEADER
        if first <= entry < last:
            target = request[_CONTENT] + filled * item
            swap(source + at, target, values, request[_ITEM_SIZE])
            filled += values
            offsets[entry - first + 1] = filled
        at += length
    if at != size:
        request[_EXPECTED], request[_GOT] = size, at
        return _VECTOR
    request[_ENTRY] += row[_TAKE]
    return _NONE


@compiled
def _integer(data: Pointer, at: Word) -> Word:
    return (
        np.int64(data[at]) << 24
        | np.int64(data[at + 1]) << 16
        | np.int64(data[at + 2]) << 8
        | np.int64(data[at + 3])
    )
