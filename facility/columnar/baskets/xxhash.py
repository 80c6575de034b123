"""XXH64, the checksum before ROOT's LZ4 blocks."""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.pointers import Word, bytes_at, compiled, words64_at

P1 = np.uint64(0x9E3779B185EBCA87)
P2 = np.uint64(0xC2B2AE3D27D4EB4F)
P3 = np.uint64(0x165667B19E3779F9)
P4 = np.uint64(0x85EBCA77C2B2AE63)
P5 = np.uint64(0x27D4EB2F165667C5)


@compiled
def _rotate(x: Word, bits: Word) -> Word:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@compiled
def _round(lane: Word, word: Word) -> Word:
    return _rotate(lane + word * P2, 31) * P1


@compiled
def _merge(total: Word, lane: Word) -> Word:
    return (total ^ _round(np.uint64(0), lane)) * P1 + P4


@compiled
def xxh64(address: Word, size: Word) -> Word:
    """Return the 64-bit xxHash with seed 0 of ``size`` bytes at ``address``.

    For machines whose first byte is the least significant, as x86-64 and AArch64.
    Source: xxHash fast digest algorithm, specification 0.2.0, "XXH64".
    """
    data = bytes_at(address)
    at = 0
    if size >= 32:
        a, b, c, d = P1 + P2, P2, np.uint64(0), np.uint64(0) - P1
        words = words64_at(address)
        while at + 32 <= size:
            word = at >> 3
            a = _round(a, words[word])
            b = _round(b, words[word + 1])
            c = _round(c, words[word + 2])
            d = _round(d, words[word + 3])
            at += 32
        total = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        total = _merge(_merge(_merge(_merge(total, a), b), c), d)
    else:
        total = P5
    total += np.uint64(size)
    while at + 8 <= size:
        total ^= _round(np.uint64(0), words64_at(address + at)[0])
        total = _rotate(total, 27) * P1 + P4
        at += 8
    if at + 4 <= size:
        half = np.uint64(0)
        for i in range(4):
            half |= np.uint64(data[at + i]) << np.uint64(8 * i)
        total ^= half * P1
        total = _rotate(total, 23) * P2 + P3
        at += 4
    while at < size:
        total ^= np.uint64(data[at]) * P5
        total = _rotate(total, 11) * P1
        at += 1
    total = (total ^ (total >> np.uint64(33))) * P2
    total = (total ^ (total >> np.uint64(29))) * P3
    return total ^ (total >> np.uint64(32))
