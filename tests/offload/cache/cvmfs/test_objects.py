import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import compress, content_of


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_what_is_compressed_comes_back(data, times):
    content = data * times
    compressed = compress(content)
    name = ObjectName.of(compressed)
    assert content_of(name, compressed) == content
    assert content_of(name, compressed, size=len(content)) == content


CONTENT = bytes(range(256)) * 5000
COMPRESSED = compress(CONTENT)
NAME = ObjectName.of(COMPRESSED)


@given(st.integers(0, len(COMPRESSED) - 1), st.integers(1, 255))
def test_one_changed_byte_is_found(at, change):
    changed = bytearray(COMPRESSED)
    changed[at] ^= change
    with pytest.raises(DamagedObjectError):
        content_of(NAME, bytes(changed))


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        COMPRESSED[:-1],
        COMPRESSED + b"x",
        COMPRESSED * 2,
        compress(b"another"),
        CONTENT,
    ],
)
def test_what_is_cut_or_longer_or_another_is_found(damaged):
    with pytest.raises(DamagedObjectError):
        content_of(NAME, damaged)


def test_a_bomb_is_not_decompressed_to_its_end():
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(DamagedObjectError, match="goes on"):
        content_of(ObjectName.of(bomb), bomb, size=1000)


def test_what_was_signed_for_must_be_a_whole_stream():
    """Its name is right, but it was made of half a stream."""
    half = COMPRESSED[:100]
    with pytest.raises(DamagedObjectError, match="does not end"):
        content_of(ObjectName.of(half), half)
