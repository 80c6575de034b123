"""Values as pages of an RNTuple have them, least significant byte first.

In *split* pages come the first bytes of all values, then the second ones, and so on;
*zigzag* has the sign in the last bit; *delta* is what each value has more than the one
before it in the page; *bits* are eight truth values a byte, the first one lowest
(ROOT, ``tree/ntuple/doc/BinaryFormatSpecification.md``, "Column Encodings").
"""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.pointers import (
    Pointer,
    Word,
    bytes_at,
    compiled,
    words16_at,
    words32_at,
    words64_at,
)
from facility.columnar.baskets.positions import Layout

_SPLIT = int(Layout.SPLIT)
_ZIGZAG = int(Layout.ZIGZAG)
_DELTA = int(Layout.DELTA)
_BITS = int(Layout.BITS)


@compiled
def page_size(elements: Word, item: Word, layout: Word) -> Word:
    """Return the uncompressed bytes of so many values of ``item`` bytes."""
    return (elements + 7) // 8 if layout == _BITS else elements * item


@compiled
def take_values(
    source: Word,
    elements: Word,
    skip: Word,
    take: Word,
    target: Word,
    item: Word,
    layout: Word,
) -> None:
    """Copy ``take`` values from the uncompressed page at ``source`` to ``target``.

    The two do not overlap, unless the page is plain and they are the same.
    """
    if layout == _BITS:
        _bits(bytes_at(source), skip, take, bytes_at(target))
    elif layout not in (_SPLIT, _ZIGZAG, _DELTA):
        if source + skip * item != target:
            _bytes(bytes_at(source + skip * item), take * item, bytes_at(target))
    else:
        _together(source + skip, elements, take, target, item)
        if layout == _ZIGZAG:
            _signed(target, take, item)
        elif layout == _DELTA:
            _summed(target, take, item, _sum_before(source, elements, skip, item))


@compiled
def _together(source: Word, stride: Word, take: Word, target: Word, item: Word) -> None:
    if item == 2:
        _split16(source, stride, take, words16_at(target))
    elif item == 4:
        _split32(source, stride, take, words32_at(target))
    else:
        _split64(source, stride, take, words64_at(target))


@compiled
def _signed(target: Word, take: Word, item: Word) -> None:
    if item == 2:
        _zigzag(words16_at(target), take, np.uint16(1))
    elif item == 4:
        _zigzag(words32_at(target), take, np.uint32(1))
    else:
        _zigzag(words64_at(target), take, np.uint64(1))


@compiled
def _summed(target: Word, take: Word, item: Word, before: Word) -> None:
    if item == 4:
        _sums(words32_at(target), take, np.uint32(before))
    else:
        _sums(words64_at(target), take, np.uint64(before))


@compiled
def _bits(source: Pointer, skip: Word, take: Word, target: Pointer) -> None:
    for i in range(take):
        at = skip + i
        target[i] = (source[at >> 3] >> np.uint8(at & 7)) & np.uint8(1)


@compiled
def _bytes(source: Pointer, size: Word, target: Pointer) -> None:
    for i in range(size):
        target[i] = source[i]


@compiled
def _split16(source: Word, stride: Word, take: Word, target: Pointer) -> None:
    a, b = bytes_at(source), bytes_at(source + stride)
    for i in range(take):
        target[i] = np.uint16(a[i]) | np.uint16(b[i]) << np.uint16(8)


@compiled
def _split32(source: Word, stride: Word, take: Word, target: Pointer) -> None:
    a, b = bytes_at(source), bytes_at(source + stride)
    c, d = bytes_at(source + 2 * stride), bytes_at(source + 3 * stride)
    for i in range(take):
        target[i] = (
            np.uint32(a[i])
            | np.uint32(b[i]) << np.uint32(8)
            | np.uint32(c[i]) << np.uint32(16)
            | np.uint32(d[i]) << np.uint32(24)
        )


@compiled
def _split64(source: Word, stride: Word, take: Word, target: Pointer) -> None:
    a, b = bytes_at(source), bytes_at(source + stride)
    c, d = bytes_at(source + 2 * stride), bytes_at(source + 3 * stride)
    e, f = bytes_at(source + 4 * stride), bytes_at(source + 5 * stride)
    g, h = bytes_at(source + 6 * stride), bytes_at(source + 7 * stride)
    for i in range(take):
        target[i] = (
            np.uint64(a[i])
            | np.uint64(b[i]) << np.uint64(8)
            | np.uint64(c[i]) << np.uint64(16)
            | np.uint64(d[i]) << np.uint64(24)
            | np.uint64(e[i]) << np.uint64(32)
            | np.uint64(f[i]) << np.uint64(40)
            | np.uint64(g[i]) << np.uint64(48)
            | np.uint64(h[i]) << np.uint64(56)
        )


@compiled
def _zigzag(values: Pointer, size: Word, one: Word) -> None:
    for i in range(size):
        values[i] = (values[i] >> one) ^ (one - one - (values[i] & one))


@compiled
def _sum_before(source: Word, stride: Word, values: Word, item: Word) -> Word:
    """Return the sum of the first values of a split page."""
    total = np.int64(0)
    for byte in range(item):
        data = bytes_at(source + byte * stride)
        part = np.int64(0)
        for i in range(values):
            part += np.int64(data[i])
        total += part << np.int64(8 * byte)
    return total


@compiled
def _sums(values: Pointer, size: Word, before: Word) -> None:
    total = before
    for i in range(size):
        total += values[i]
        values[i] = total
