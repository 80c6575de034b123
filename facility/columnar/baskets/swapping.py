"""From the file's byte order, the most significant first, to the machine's."""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.pointers import (
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
    """Copy ``items`` values of ``size`` bytes (or :data:`TRUTH`) between addresses."""
    if size == 4:
        from32, to32 = words32_at(source), words32_at(target)
        for i in range(items):
            x = from32[i]
            to32[i] = (
                x >> np.uint32(24)
                | (x >> np.uint32(8)) & np.uint32(0xFF00)
                | (x << np.uint32(8)) & np.uint32(0xFF0000)
                | x << np.uint32(24)
            )
    elif size == 8:
        from64, to64 = words64_at(source), words64_at(target)
        for i in range(items):
            y = from64[i]
            y = y >> np.uint64(32) | y << np.uint64(32)
            y = (y & np.uint64(0xFFFF0000FFFF0000)) >> np.uint64(16) | (
                y & np.uint64(0x0000FFFF0000FFFF)
            ) << np.uint64(16)
            to64[i] = (y & np.uint64(0xFF00FF00FF00FF00)) >> np.uint64(8) | (
                y & np.uint64(0x00FF00FF00FF00FF)
            ) << np.uint64(8)
    elif size == 2:
        from16, to16 = words16_at(source), words16_at(target)
        for i in range(items):
            z = from16[i]
            to16[i] = z >> np.uint16(8) | z << np.uint16(8)
    elif size == 1:
        from8, to8 = bytes_at(source), bytes_at(target)
        for i in range(items):
            to8[i] = from8[i]
    else:
        from8, to8 = bytes_at(source), bytes_at(target)
        for i in range(items):
            to8[i] = np.uint8(from8[i] != 0)
