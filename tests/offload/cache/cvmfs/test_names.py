import hashlib

import pytest

from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import (
    ObjectName,
    Suffix,
    is_below,
    key_of,
    name_of,
    numbers_of,
    parent_of,
)


def test_an_object_is_named_after_its_compressed_bytes():
    name = ObjectName.of(b"abc", Suffix.CHUNK)
    assert name.hex == hashlib.sha1(b"abc").hexdigest()
    assert name.path == "data/a9/993e364706816aba3e25717850c26c9cd0d89dP"
    assert str(name) == "a9993e364706816aba3e25717850c26c9cd0d89dP"


@pytest.mark.parametrize("text", ["", "a" * 39, "A" * 40, "g" * 40, "a" * 40 + "\n"])
def test_what_is_no_digest_names_no_object(text):
    with pytest.raises(RepositoryError, match="40 hex digits"):
        ObjectName.parse(text)


def test_paths_are_known_by_two_little_endian_halves_of_their_md5():
    # As every client computes it: MD5 of "" is d41d8cd98f00b204 e9800998ecf8427e.
    assert numbers_of(key_of(b"")) == (
        int.from_bytes(bytes.fromhex("d41d8cd98f00b204"), "little", signed=True),
        int.from_bytes(bytes.fromhex("e9800998ecf8427e"), "little", signed=True),
    )


def test_paths_are_taken_apart():
    assert (parent_of(b"/a/b"), name_of(b"/a/b")) == (b"/a", b"b")
    assert (parent_of(b"/a"), name_of(b"/a")) == (b"", b"a")
    assert is_below(b"/a/b", b"/a")
    assert is_below(b"/a", b"/a")
    assert is_below(b"/a", b"")
    assert not is_below(b"/ab", b"/a")
