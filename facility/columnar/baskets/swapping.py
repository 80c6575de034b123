"""From the file's byte order, the most significant first, to the machine's."""

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

TRUTH = 0
"""As an item size: one byte, of which any bit makes it true."""


@compiled
def swap(source: Word, target: Word, items: Word, size: Word) -> None:
    """Copy ``items`` values of ``size`` bytes (or :data:`TRUTH`) between addresses.

    The two may be the same, and may not overlap otherwise.
    """
    if size == 4:
        _copy32(words32_at(source), words32_at(target), items, source == target)
    elif size == 8:
        _copy64(words64_at(source), words64_at(target), items, source == target)
    elif size == 2:
        _copy16(words16_at(source), words16_at(target), items, source == target)
    elif size == 1:
        from8, to8 = bytes_at(source), bytes_at(target)
        if source != target:
            for i in range(items):
                to8[i] = from8[i]
    else:
        from8, to8 = bytes_at(source), bytes_at(target)
        for i in range(items):
            to8[i] = np.uint8(from8[i] != 0)


# In place there is one pointer in the loop: with two that may overlap, the compiler
# would not use vectors.


@compiled
def _copy16(source: Pointer, target: Pointer, items: Word, in_place: Word) -> None:
    if in_place:
        for i in range(items):
            target[i] = _swap16(target[i])
    else:
        for i in range(items):
            target[i] = _swap16(source[i])


@compiled
def _copy32(source: Pointer, target: Pointer, items: Word, in_place: Word) -> None:
    if in_place:
        for i in range(items):
            target[i] = _swap32(target[i])
    else:
        for i in range(items):
            target[i] = _swap32(source[i])


@compiled
def _copy64(source: Pointer, target: Pointer, items: Word, in_place: Word) -> None:
    if in_place:
        for i in range(items):
            target[i] = _swap64(target[i])
    else:
        for i in range(items):
            target[i] = _swap64(source[i])


@compiled
def _swap16(x: Word) -> Word:
    return x >> np.uint16(8) | x << np.uint16(8)


@compiled
def _swap32(x: Word) -> Word:
    return (
        x >> np.uint32(24)
        | (x >> np.uint32(8)) & np.uint32(0xFF00)
        | (x << np.uint32(8)) & np.uint32(0xFF0000)
        | x << np.uint32(24)
    )


@compiled
def _swap64(x: Word) -> Word:
    x = x >> np.uint64(32) | x << np.uint64(32)
    x = (x & np.uint64(0xFFFF0000FFFF0000)) >> np.uint64(16) | (
        x & np.uint64(0x0000FFFF0000FFFF)
    ) << np.uint64(16)
    return (x & np.uint64(0xFF00FF00FF00FF00)) >> np.uint64(8) | (
        x & np.uint64(0x00FF00FF00FF00FF)
    ) << np.uint64(8)
