"""ROOT's compressed blocks to bytes, as far as they are needed.

A block begins with nine bytes: two of the codec's name, one of its method, three of
the compressed and three of the uncompressed size, the least significant first
(ROOT, ``core/zip/src/RZip.cxx``). A basket of more than 16 MB is several blocks.
"""

from __future__ import annotations

import numpy as np

from facility.columnar.baskets.faults import Fault
from facility.columnar.baskets.libraries import Function
from facility.columnar.baskets.pointers import (
    Pointer,
    Word,
    bytes_at,
    call,
    compiled,
    integers_at,
)
from facility.columnar.baskets.requests import Slot
from facility.columnar.baskets.xxhash import xxh64

HEADER = 9
_LZ4_CHECKSUM = 8
_LZMA_MEMORY = 1 << 30
_ZSTD_ERRORS = np.uint64(2**64 - 4096)
"""Results from here on are error codes (``ZSTD_isError``)."""

EXPECTED = int(Slot.EXPECTED)
GOT = int(Slot.GOT)
_NONE = int(Fault.NONE)
_NO_LIBRARY = int(Fault.NO_LIBRARY)
_BLOCK = int(Fault.BLOCK)
_METHOD = int(Fault.METHOD)
_CHECKSUM = int(Fault.CHECKSUM)
_DECOMPRESS = int(Fault.DECOMPRESS)
_ZSTD_CREATE = int(Function.ZSTD_CREATE)
_ZSTD_WHOLE = int(Function.ZSTD_WHOLE)
_ZSTD_BEGIN = int(Function.ZSTD_BEGIN)
_ZSTD_NEXT_SIZE = int(Function.ZSTD_NEXT_SIZE)
_ZSTD_CONTINUE = int(Function.ZSTD_CONTINUE)
_LZ4 = int(Function.LZ4)
_LZ4_PARTIAL = int(Function.LZ4_PARTIAL)
_DEFLATE_CREATE = int(Function.DEFLATE_CREATE)
_DEFLATE_ZLIB = int(Function.DEFLATE_ZLIB)
_ZLIB = int(Function.ZLIB)
_LZMA = int(Function.LZMA)

ZSTD_CONTEXT = 0
DEFLATE_CONTEXT = 1
CELLS = 2
KEY = 5
"""Positions in the state: contexts of libraries (0: none yet), integers for C, and
what a key says."""


@compiled
def decompress(
    functions: Pointer,
    state: Word,
    source: Word,
    size: Word,
    target: Word,
    whole: Word,
    needed: Word,
    request: Pointer,
) -> Word:
    """Decompress at least the first ``needed`` of ``whole`` bytes.

    Reads ``size`` bytes at ``source`` and nothing beyond, writes ``whole`` bytes at
    ``target`` at most. Returns a :class:`Fault`; the request's ``EXPECTED`` and ``GOT`` say more.
    """
    data = bytes_at(source)
    at = 0
    done = 0
    while at < size:
        if at + HEADER > size:
            request[EXPECTED], request[GOT] = size, at + HEADER
            return _BLOCK
        packed = _three(data, at + 3)
        unpacked = _three(data, at + 6)
        if at + HEADER + packed > size:
            request[EXPECTED], request[GOT] = size, at + HEADER + packed
            return _BLOCK
        if done + unpacked > whole:
            request[EXPECTED], request[GOT] = whole, done + unpacked
            return _BLOCK
        if done < needed:
            outcome = _block(
                functions,
                state,
                source + at,
                packed,
                target + done,
                unpacked,
                min(unpacked, needed - done),
                request,
            )
            if outcome != _NONE:
                return outcome
        at += HEADER + packed
        done += unpacked
    if done != whole:
        request[EXPECTED], request[GOT] = whole, done
        return _BLOCK
    return _NONE


@compiled
def _three(data: Pointer, at: Word) -> Word:
    return (
        np.int64(data[at])
        | (np.int64(data[at + 1]) << 8)
        | (np.int64(data[at + 2]) << 16)
    )


@compiled
def _block(
    functions: Pointer,
    state: Word,
    header: Word,
    size: Word,
    target: Word,
    whole: Word,
    needed: Word,
    request: Pointer,
) -> Word:
    data = bytes_at(header)
    source = header + HEADER
    first, second = data[0], data[1]
    if first == ord("Z") and second == ord("S"):
        return _zstd(functions, state, source, size, target, whole, needed)
    if first == ord("L") and second == ord("4"):
        return _lz4(functions, source, size, target, whole, needed)
    if first == ord("Z") and second == ord("L"):
        return _zlib(functions, state, source, size, target, whole)
    if first == ord("X") and second == ord("Z"):
        return _lzma(functions, state, source, size, target, whole)
    request[GOT] = np.int64(first) << 8 | np.int64(second)
    return _METHOD


@compiled
def _context(state: Word, position: Word, create: Word) -> Word:
    contexts = integers_at(state)
    if contexts[position] == 0:
        contexts[position] = call(create, ())
    return contexts[position]


@compiled
def _zstd(
    functions: Pointer,
    state: Word,
    source: Word,
    size: Word,
    target: Word,
    whole: Word,
    needed: Word,
) -> Word:
    if functions[_ZSTD_WHOLE] == 0:
        return _NO_LIBRARY
    context = _context(state, ZSTD_CONTEXT, functions[_ZSTD_CREATE])
    if context == 0:
        return _DECOMPRESS
    # Bit 2 of the frame's fifth byte: a checksum at its end (RFC 8878, 3.1.1.1.1).
    has_checksum = size > 4 and (bytes_at(source)[4] & 4) != 0
    if needed == whole or has_checksum or functions[_ZSTD_CONTINUE] == 0:
        done = call(functions[_ZSTD_WHOLE], (context, target, whole, source, size))
        return _NONE if done == whole else _DECOMPRESS
    # Block by block (of 128 KiB at most), each written where it belongs: the
    # streaming interface would decode to memory of its own and copy.
    if np.uint64(call(functions[_ZSTD_BEGIN], (context,))) > _ZSTD_ERRORS:
        return _DECOMPRESS
    at = 0
    done = 0
    while done < needed:
        step = call(functions[_ZSTD_NEXT_SIZE], (context,))
        if step <= 0 or at + step > size:
            return _DECOMPRESS
        produced = call(
            functions[_ZSTD_CONTINUE],
            (context, target + done, whole - done, source + at, step),
        )
        if np.uint64(produced) > _ZSTD_ERRORS:
            return _DECOMPRESS
        at += step
        done += produced
    return _NONE


@compiled
def _lz4(
    functions: Pointer,
    source: Word,
    size: Word,
    target: Word,
    whole: Word,
    needed: Word,
) -> Word:
    if functions[_LZ4] == 0:
        return _NO_LIBRARY
    if size < _LZ4_CHECKSUM:
        return _DECOMPRESS
    data = bytes_at(source)
    expected = np.uint64(0)
    for i in range(_LZ4_CHECKSUM):
        expected = expected << np.uint64(8) | np.uint64(data[i])
    source += _LZ4_CHECKSUM
    size -= _LZ4_CHECKSUM
    if xxh64(source, size) != expected:
        return _CHECKSUM
    if needed == whole or functions[_LZ4_PARTIAL] == 0:
        done = call(functions[_LZ4], (source, target, size, whole))
        return _NONE if np.int32(done) == whole else _DECOMPRESS
    done = call(functions[_LZ4_PARTIAL], (source, target, size, needed, whole))
    return _NONE if np.int32(done) >= needed else _DECOMPRESS


@compiled
def _zlib(
    functions: Pointer, state: Word, source: Word, size: Word, target: Word, whole: Word
) -> Word:
    # Both verify the checksum, at the end: there is no stopping before it.
    if functions[_DEFLATE_ZLIB] != 0:
        context = _context(state, DEFLATE_CONTEXT, functions[_DEFLATE_CREATE])
        if context == 0:
            return _DECOMPRESS
        outcome = call(
            functions[_DEFLATE_ZLIB], (context, source, size, target, whole, 0)
        )
        return _NONE if np.int32(outcome) == 0 else _DECOMPRESS
    if functions[_ZLIB] == 0:
        return _NO_LIBRARY
    written = integers_at(state + 8 * CELLS)
    written[0] = whole
    outcome = call(functions[_ZLIB], (target, state + 8 * CELLS, source, size))
    return _NONE if np.int32(outcome) == 0 and written[0] == whole else _DECOMPRESS


@compiled
def _lzma(
    functions: Pointer, state: Word, source: Word, size: Word, target: Word, whole: Word
) -> Word:
    if functions[_LZMA] == 0:
        return _NO_LIBRARY
    limit = state + 8 * CELLS
    read = limit + 8
    written = limit + 16
    integers_at(limit)[0] = _LZMA_MEMORY
    integers_at(read)[0] = 0
    integers_at(written)[0] = 0
    outcome = call(
        functions[_LZMA], (limit, 0, 0, source, read, size, target, written, whole)
    )
    done = integers_at(written)[0]
    return _NONE if np.int32(outcome) == 0 and done == whole else _DECOMPRESS
