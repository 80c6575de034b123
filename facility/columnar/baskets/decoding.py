"""Baskets of one branch to one column: what is compiled to machine code."""

from __future__ import annotations

from facility.columnar.baskets.blocks import KEY, decompress
from facility.columnar.baskets.encodings import page_size, take_values
from facility.columnar.baskets.faults import Fault
from facility.columnar.baskets.keys import CONTENT, KEY_LENGTH, WHOLE, read_key
from facility.columnar.baskets.libraries import Function
from facility.columnar.baskets.pointers import (
    Pointer,
    Word,
    call,
    compiled,
    integers_at,
)
from facility.columnar.baskets.positions import Layout
from facility.columnar.baskets.requests import Row, Slot
from facility.columnar.baskets.swapping import swap
from facility.columnar.baskets.vectors import unpack

_NONE = int(Fault.NONE)
_MORE_SCRATCH = int(Fault.MORE_SCRATCH)
_MORE_CONTENT = int(Fault.MORE_CONTENT)
_READ = int(Fault.READ)
_ITEMS = int(Fault.ITEMS)
_BLOCK = int(Fault.BLOCK)
_PREAD = int(Function.PREAD)

_FUNCTIONS = int(Slot.FUNCTIONS)
_STATE = int(Slot.STATE)
_FILE = int(Slot.FILE)
_TABLE = int(Slot.TABLE)
_BASKETS = int(Slot.BASKETS)
_BASKET = int(Slot.BASKET)
_ITEM_SIZE = int(Slot.ITEM_SIZE)
_RAW = int(Slot.RAW)
_SCRATCH = int(Slot.SCRATCH)
_SCRATCH_SIZE = int(Slot.SCRATCH_SIZE)
_CONTENT = int(Slot.CONTENT)
_CONTENT_ITEMS = int(Slot.CONTENT_ITEMS)
_FILLED = int(Slot.FILLED)
_OFFSETS = int(Slot.OFFSETS)
_EXPECTED = int(Slot.EXPECTED)
_GOT = int(Slot.GOT)
_LAYOUT = int(Slot.LAYOUT)
_PLAIN = int(Layout.PLAIN)

_WIDTH = len(Row)
_SEEK = int(Row.SEEK)
_BYTES = int(Row.BYTES)
_ENTRIES = int(Row.ENTRIES)
_ITEMS_IN = int(Row.ITEMS)
_SKIP = int(Row.SKIP)
_TAKE = int(Row.TAKE)
_AT = int(Row.AT)


@compiled
def decode(address: Word) -> Word:
    """Fill the content, and for vectors the offsets, of the request at ``address``.

    Returns a :class:`Fault`. After ``MORE_SCRATCH`` and ``MORE_CONTENT`` the caller
    gives that and calls again: what is done stays done.
    """
    request = integers_at(address)
    while request[_BASKET] < request[_BASKETS]:
        row = integers_at(request[_TABLE] + 8 * _WIDTH * request[_BASKET])
        is_page = request[_LAYOUT] >= _PLAIN
        outcome = _page(request, row) if is_page else _basket(request, row)
        if outcome != _NONE:
            return outcome
        request[_BASKET] += 1
    return _NONE


@compiled
def _basket(request: Pointer, row: Pointer) -> Word:
    raw = _fetched(request, row)
    if raw == 0:
        return _READ
    key = integers_at(request[_STATE] + 8 * KEY)
    outcome = read_key(raw, row[_BYTES], row[_ENTRIES], key, request)
    if outcome != _NONE:
        return outcome
    item = max(request[_ITEM_SIZE], 1)
    needed = _needed(request, row, key, item)
    if needed < 0:
        return _ITEMS
    source = raw + key[KEY_LENGTH]
    packed = row[_BYTES] - key[KEY_LENGTH]
    is_vector = request[_OFFSETS] != 0
    at, take = row[_AT], row[_TAKE]
    if take < 0:
        at, take = request[_FILLED], needed // item
        if at + take > request[_CONTENT_ITEMS]:
            request[_EXPECTED] = at + take
            return _MORE_CONTENT
    content = request[_CONTENT] + at * item
    # Where it belongs, if all of it is wanted: half the memory is touched. What is
    # behind the values is overwritten by the next basket.
    room = (request[_CONTENT_ITEMS] - at) * item
    is_direct = not is_vector and row[_SKIP] == 0 and room >= key[WHOLE]
    if packed != key[WHOLE]:
        target = content if is_direct else request[_SCRATCH]
        if not is_direct and key[WHOLE] > request[_SCRATCH_SIZE]:
            request[_EXPECTED] = key[WHOLE]
            return _MORE_SCRATCH
        outcome = decompress(
            integers_at(request[_FUNCTIONS]),
            request[_STATE],
            source,
            packed,
            target,
            key[WHOLE],
            needed,
            request,
        )
        if outcome != _NONE:
            return outcome
        source = target
    if is_vector:
        return unpack(source, key[CONTENT], row, request)
    swap(source + row[_SKIP] * item, content, take, request[_ITEM_SIZE])
    request[_FILLED] = at + take
    return _NONE


@compiled
def _page(request: Pointer, row: Pointer) -> Word:
    """Do a page of an RNTuple: it has no key, and is compressed if it is smaller."""
    source = _fetched(request, row)
    if source == 0:
        return _READ
    layout, item = request[_LAYOUT], max(request[_ITEM_SIZE], 1)
    skip, take = row[_SKIP], row[_TAKE]
    whole = page_size(row[_ENTRIES], item, layout)
    content = request[_CONTENT] + row[_AT] * item
    if row[_BYTES] > whole:
        request[_EXPECTED], request[_GOT] = whole, row[_BYTES]
        return _BLOCK
    if row[_BYTES] < whole:
        room = (request[_CONTENT_ITEMS] - row[_AT]) * item
        is_direct = layout == _PLAIN and skip == 0 and room >= whole
        target = content if is_direct else request[_SCRATCH]
        if not is_direct and whole > request[_SCRATCH_SIZE]:
            request[_EXPECTED] = whole
            return _MORE_SCRATCH
        outcome = decompress(
            integers_at(request[_FUNCTIONS]),
            request[_STATE],
            source,
            row[_BYTES],
            target,
            whole,
            (skip + take) * item if layout == _PLAIN else whole,
            request,
        )
        if outcome != _NONE:
            return outcome
        source = target
    take_values(source, row[_ENTRIES], skip, take, content, item, layout)
    return _NONE


@compiled
def _fetched(request: Pointer, row: Pointer) -> Word:
    """Return the address of a basket's bytes; 0 if they could not be read."""
    if request[_FILE] < 0:
        return row[_SEEK]
    raw = request[_RAW]
    size = row[_BYTES]
    pread = integers_at(request[_FUNCTIONS])[_PREAD]
    got = call(pread, (request[_FILE], raw, size, row[_SEEK]))
    if got != size:
        request[_EXPECTED], request[_GOT] = size, max(got, 0)
        return 0
    return raw


@compiled
def _needed(request: Pointer, row: Pointer, key: Pointer, item: Word) -> Word:
    """Return how many bytes of the values are needed; -1 if they cannot be."""
    content = key[CONTENT]
    if request[_OFFSETS] != 0:
        return content
    if row[_TAKE] < 0:
        # Nobody says how many there are, but what is behind them may have few sizes.
        behind = key[WHOLE] - content
        unit = 4 * (row[_ENTRIES] + 2)
        is_whole = content % item == 0 and behind in (0, unit, 2 * unit)
        request[_EXPECTED], request[_GOT] = content // item * item, content
        return content if is_whole else -1
    needed = (row[_SKIP] + row[_TAKE]) * item
    items = row[_ITEMS_IN]
    expected = needed if items < 0 else items * item
    if content < expected or (items >= 0 and content != expected):
        request[_EXPECTED], request[_GOT] = expected, content
        return -1
    return needed
