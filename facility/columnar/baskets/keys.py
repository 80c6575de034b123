"""A basket's key: what it says of itself, checked against what the tree says of it.

``TKey`` is followed by ``TBasket``'s own fields, the last 19 bytes before the data
(ROOT, ``tree/tree/src/TBasket.cxx``, ``TBasket::Streamer``); all are big-endian.
"""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.faults import Fault
from facility.columnar.baskets.pointers import Pointer, Word, bytes_at, compiled
from facility.columnar.baskets.requests import Slot

EXPECTED = int(Slot.EXPECTED)
GOT = int(Slot.GOT)
_NONE = int(Fault.NONE)
_KEY = int(Fault.KEY)
_ENTRIES = int(Fault.ENTRIES)
_ITEMS = int(Fault.ITEMS)
_LENGTH = int(Fault.LENGTH)

_TKEY = 18
"""Bytes before the seeks and names of a ``TKey``."""
_OWN = 19
"""Bytes of ``TBasket``: version, three sizes, the last byte's position, a flag."""

KEY_LENGTH = 0
WHOLE = 1
CONTENT = 2
"""Positions in what :func:`read_key` fills: lengths of the key, of the uncompressed
data, and of the values in it, in bytes."""


@compiled
def read_key(
    address: Word, size: Word, entries: Word, key: Pointer, request: Pointer
) -> Word:
    """Fill ``key`` from the basket of ``size`` bytes at ``address``.

    Returns a :class:`Fault`; the request's ``EXPECTED`` and ``GOT`` say more. Afterwards
    ``_TKEY + _OWN <= key length <= size`` and ``0 <= content <= whole``.
    """
    data = bytes_at(address)
    declared = _integer(data, 0)
    if declared != size:
        request[EXPECTED], request[GOT] = size, declared
        return _KEY
    whole = _integer(data, 6)
    length = np.int64(data[14]) << 8 | np.int64(data[15])
    if length < _TKEY + _OWN or length > size:
        request[EXPECTED], request[GOT] = size, length
        return _KEY
    own = length - _OWN
    filled = _integer(data, own + 10)
    if filled != entries:
        request[EXPECTED], request[GOT] = entries, filled
        return _ENTRIES
    content = _integer(data, own + 14) - length
    if content < 0 or content > whole:
        request[EXPECTED], request[GOT] = whole, content
        return _ITEMS
    # Behind the values there are at most two arrays of one integer per entry, one
    # more and a size each: without this limit a damaged length would be asked for
    # as memory.
    if whole - content > 8 * (entries + 2):
        request[EXPECTED], request[GOT] = content + 8 * (entries + 2), whole
        return _LENGTH
    key[KEY_LENGTH] = length
    key[WHOLE] = whole
    key[CONTENT] = content
    return _NONE


@compiled
def _integer(data: Pointer, at: Word) -> Word:
    return np.int64(
        np.int32(
            np.uint32(data[at]) << np.uint32(24)
            | np.uint32(data[at + 1]) << np.uint32(16)
            | np.uint32(data[at + 2]) << np.uint32(8)
            | np.uint32(data[at + 3])
        )
    )
