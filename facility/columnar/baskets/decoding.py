"""Baskets of one branch to one column: what is compiled to machine code."""

from __future__ import annotations

from facility.columnar.baskets.blocks import KEY, decompress
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
from facility.columnar.baskets.requests import Row, Slot
from facility.columnar.baskets.swapping import swap
from facility.columnar.baskets.vectors import unpack

_NONE = int(Fault.NONE)
_MORE_SCRATCH = int(Fault.MORE_SCRATCH)
_READ = int(Fault.READ)
_ITEMS = int(Fault.ITEMS)
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
_OFFSETS = int(Slot.OFFSETS)
_EXPECTED = int(Slot.EXPECTED)
_GOT = int(Slot.GOT)

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
        outcome = _basket(request, row)
        if outcome != _NONE:
            return outcome
        request[_BASKET] += 1
    return _NONE


@compiled
def _basket(request: Pointer, row: Pointer) -> Word:
    functions = integers_at(request[_FUNCTIONS])
    size = row[_BYTES]
    raw = row[_SEEK]
    if request[_FILE] >= 0:
        raw = request[_RAW]
        got = call(functions[_PREAD], (request[_FILE], raw, size, row[_SEEK]))
        if got != size:
            request[_EXPECTED], request[_GOT] = size, max(got, 0)
            return _READ
    key = integers_at(request[_STATE] + 8 * KEY)
    outcome = read_key(raw, size, row[_ENTRIES], key, request)
    if outcome != _NONE:
        return outcome
    item = max(request[_ITEM_SIZE], 1)
    is_vector = request[_OFFSETS] != 0
    needed = key[CONTENT]
    if not is_vector:
        needed = (row[_SKIP] + row[_TAKE]) * item
        items = row[_ITEMS_IN]
        expected = needed if items < 0 else items * item
        if key[CONTENT] < expected or (items >= 0 and key[CONTENT] != expected):
            request[_EXPECTED], request[_GOT] = expected, key[CONTENT]
            return _ITEMS
    source = raw + key[KEY_LENGTH]
    packed = size - key[KEY_LENGTH]
    if packed != key[WHOLE]:
        if key[WHOLE] > request[_SCRATCH_SIZE]:
            request[_EXPECTED] = key[WHOLE]
            return _MORE_SCRATCH
        target = request[_SCRATCH]
        outcome = decompress(
            functions,
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
    target = request[_CONTENT] + row[_AT] * item
    swap(source + row[_SKIP] * item, target, row[_TAKE], request[_ITEM_SIZE])
    return _NONE
