"""Where the system's libraries keep what decompresses, as addresses."""

from __future__ import annotations

import ctypes
import weakref
from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt


class Function(IntEnum):
    """Position of a function in :func:`addresses`."""

    PREAD = 0
    ZSTD_CREATE = 1
    ZSTD_FREE = 2
    ZSTD_WHOLE = 3
    ZSTD_BEGIN = 4
    ZSTD_NEXT_SIZE = 5
    ZSTD_CONTINUE = 6
    LZ4 = 7
    LZ4_PARTIAL = 8
    DEFLATE_CREATE = 9
    DEFLATE_FREE = 10
    DEFLATE_ZLIB = 11
    ZLIB = 12
    LZMA = 13


_SYMBOLS: tuple[tuple[tuple[str, ...], dict[Function, str]], ...] = (
    ((), {Function.PREAD: "pread"}),
    (
        ("libzstd.so.1",),
        {
            Function.ZSTD_CREATE: "ZSTD_createDCtx",
            Function.ZSTD_FREE: "ZSTD_freeDCtx",
            Function.ZSTD_WHOLE: "ZSTD_decompressDCtx",
            Function.ZSTD_BEGIN: "ZSTD_decompressBegin",
            Function.ZSTD_NEXT_SIZE: "ZSTD_nextSrcSizeToDecompress",
            Function.ZSTD_CONTINUE: "ZSTD_decompressContinue",
        },
    ),
    (
        ("liblz4.so.1",),
        {
            Function.LZ4: "LZ4_decompress_safe",
            Function.LZ4_PARTIAL: "LZ4_decompress_safe_partial",
        },
    ),
    (
        ("libdeflate.so.0", "libdeflate.so"),
        {
            Function.DEFLATE_CREATE: "libdeflate_alloc_decompressor",
            Function.DEFLATE_FREE: "libdeflate_free_decompressor",
            Function.DEFLATE_ZLIB: "libdeflate_zlib_decompress",
        },
    ),
    (("libz.so.1",), {Function.ZLIB: "uncompress"}),
    (("liblzma.so.5",), {Function.LZMA: "lzma_stream_buffer_decode"}),
)


@cache
def addresses() -> npt.NDArray[np.int64]:
    """Return the address of each :class:`Function`; 0 where there is no such library.

    The libraries stay loaded for the life of the process.
    """
    table = np.zeros(len(Function), np.int64)
    for names, symbols in _SYMBOLS:
        library = _first(names)
        for function, symbol in symbols.items():
            found = getattr(library, symbol, None)
            if found is not None:
                table[function] = ctypes.cast(found, ctypes.c_void_p).value or 0
    table.setflags(write=False)
    return table


class Contexts:
    """Memory of the libraries, made by compiled code when it needs it.

    One thread at a time uses it: it is the state behind :attr:`Slot.STATE`. It is
    used again, also after a fault, and given back with this object.
    """

    def __init__(self) -> None:
        self.state = np.zeros(8, np.int64)
        # Not when the process ends: all of its memory goes then.
        weakref.finalize(self, _give_back, self.state).atexit = False


def _give_back(state: npt.NDArray[np.int64]) -> None:
    for position, function in enumerate(_FREE):
        if state[position]:
            free = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)
            free(int(addresses()[function]))(int(state[position]))


_FREE = (Function.ZSTD_FREE, Function.DEFLATE_FREE)
"""For each context at the beginning of the state, what gives it back."""


def _first(names: tuple[str, ...]) -> ctypes.CDLL | None:
    if not names:
        return ctypes.CDLL(None)  # what the process has: the C library
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
