"""The physical limit: every needed basket decompressed once, and nothing else.

Where baskets are is found at the first question about a file, outside of the clock of
the others. Whole baskets are decompressed, to memory that is used again, by the
system's own libraries.
"""

import ctypes
from functools import cache
from pathlib import Path

import uproot
from needed import BRANCHES
from serving import serve

HEADER = 9
"""Bytes before each compressed block: codec, method, both sizes."""
LZ4_CHECKSUM = 8
SIZE = ctypes.c_size_t


def library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise OSError(f"none of {names} is installed")


@cache
def zstd():
    found = library("libzstd.so.1")
    found.ZSTD_createDCtx.restype = ctypes.c_void_p
    decompress = found.ZSTD_decompressDCtx
    decompress.restype = SIZE
    context = ctypes.c_void_p(found.ZSTD_createDCtx())
    return lambda source, size, target, room: decompress(
        context, target, SIZE(room), source, SIZE(size)
    )


@cache
def lz4():
    decompress = library("liblz4.so.1").LZ4_decompress_safe
    return lambda source, size, target, room: decompress(
        source[LZ4_CHECKSUM:], target, size - LZ4_CHECKSUM, room
    )


@cache
def zlib():
    found = library("libdeflate.so.0", "libdeflate.so")
    found.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
    decompress = found.libdeflate_zlib_decompress
    context = ctypes.c_void_p(found.libdeflate_alloc_decompressor())
    got = SIZE()

    def whole(source, size, target, room):
        decompress(context, source, SIZE(size), target, SIZE(room), ctypes.byref(got))
        return got.value

    return whole


@cache
def lzma():
    decode = library("liblzma.so.5").lzma_stream_buffer_decode
    limit, read, written = ctypes.c_uint64(1 << 30), SIZE(), SIZE()

    def whole(source, size, target, room):
        read.value = written.value = 0
        decode(
            ctypes.byref(limit), 0, None, source, ctypes.byref(read), SIZE(size),
            target, ctypes.byref(written), SIZE(room),
        )  # fmt: skip
        return written.value

    return whole


def copy():
    def whole(source, size, target, room):
        ctypes.memmove(target, source, size)
        return size

    return whole


CODECS = {b"": copy, b"ZS": zstd, b"L4": lz4, b"ZL": zlib, b"XZ": lzma}


@cache
def blocks(path, query):
    """Return codec, compressed bytes and size of each block of the needed baskets."""
    content = Path(path).read_bytes()
    found = []
    with uproot.open(path) as file:
        for name in BRANCHES[query]:
            branch = file["Events"][name]
            for i in range(branch.num_baskets):
                key = branch.basket_key(i)
                begin = branch.member("fBasketSeek")[i]
                end = begin + branch.member("fBasketBytes")[i]
                at = begin + key.fKeylen
                if key.fObjlen == end - at:  # compressing it gained nothing
                    found.append((b"", content[at:end], int(end - at)))
                    continue
                while at < end:
                    packed, unpacked = (
                        int.from_bytes(content[at + p : at + p + 3], "little")
                        for p in (3, 6)
                    )
                    start = at + HEADER
                    found.append(
                        (
                            content[at : at + 2],
                            content[start : start + packed],
                            unpacked,
                        )
                    )
                    at = start + packed
    return found, ctypes.create_string_buffer(max(size for *_, size in found))


def answer(query, path):
    found, target = blocks(path, query)
    for codec, source, unpacked in found:
        if CODECS[codec]()(source, len(source), target, unpacked) != unpacked:
            raise ValueError(f"{path}: a block of {codec} does not decompress")
    return sum(size for *_, size in found)


serve(answer)
