"""What is known is not made again, and the index is never believed too much."""

import os
from pathlib import Path

import pytest

from offload.cache.cvmfs import objects
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.errors import (
    RepositoryError,
)
from offload.cache.errors import NoSpaceError


def publish(repository, trees, tag=None):
    with repository.transaction() as transaction:
        for path, tree in trees.items():
            transaction.put_tree(path, tree)
        return transaction.commit(tag)


def test_known_contents_are_neither_read_nor_compressed(repository, make, monkeypatch):
    large = os.urandom(100) * 60_000
    publish(repository, {b"/a": [make.file(b"x", b"content"), make.file(b"y", large)]})
    packed = []
    compress = objects.compress
    monkeypatch.setattr(
        "offload.cache.cvmfs.packing.compress",
        lambda data, level: packed.append(len(data)) or compress(data, level),
    )
    publish(
        repository,
        {b"/b": [make.named(b"x2", b"content"), make.named(b"y2", large)]},
    )
    assert packed == []
    # Without a digest they are read; and of a changed file, what has changed is packed.
    changed = large[: 4 << 20] + b"changed"
    tree = [make.file(b"x", b"content"), make.file(b"y", changed)]
    publish(repository, {b"/c": tree})
    assert packed == [7]
    namespace = repository.namespace()
    assert namespace.lookup(b"/b/x2").digest == namespace.lookup(b"/a/x").digest
    assert namespace.lookup(b"/b/y2").chunks == namespace.lookup(b"/a/y").chunks
    assert namespace.lookup(b"/c/y").chunks[0] == namespace.lookup(b"/a/y").chunks[0]


def test_what_was_lost_with_the_machine_is_made_again(repository, make, contents):
    """Objects that are known, but are not there any more or are empty."""
    large = os.urandom(1 << 16) * 80
    tree = [
        make.file(b"a", b"gone"),
        make.file(b"b", b"emptied"),
        make.file(b"c", large),
    ]
    publish(repository, {b"/t": tree})
    namespace = repository.namespace()
    place = lambda name: next(namespace.lookup(name).objects())  # noqa: E731
    Path(repository._storage.path(place(b"/t/a"))).unlink()
    Path(repository._storage.path(place(b"/t/b"))).write_bytes(b"")
    Path(repository._storage.path(place(b"/t/c"))).unlink()
    publish(repository, {b"/u": tree})
    assert contents(repository)[b"/t/a"][2] == b"gone"
    assert contents(repository)[b"/t/b"][2] == b"emptied"
    assert contents(repository)[b"/u/c"][2] == large


@pytest.mark.parametrize("data", [b"", b"no index at all" * 1000])
def test_a_damaged_index_is_made_anew(repository, make, contents, data):
    publish(repository, {b"/t": [make.file(b"a", b"content")]})
    (repository.public.parent / "private" / "contents.sqlite").write_bytes(data)
    publish(repository, {b"/u": [make.file(b"a", b"content")]})
    assert contents(repository)[b"/u/a"][2] == b"content"


def test_an_index_on_a_full_disk_is_one_line(repository, make, tmp_path):
    index = Contents(tmp_path / "index")
    index._connection.execute("PRAGMA max_page_count = 6")
    for number in range(2000):
        index.add(b"%032d" % number, (bytes(20),))
    with pytest.raises(NoSpaceError, match="disk is full"):
        index.save()
    index.close()


def test_an_index_that_is_damaged_while_it_is_used_is_one_line(tmp_path):
    index = Contents(tmp_path / "index")
    index._connection.execute("DROP TABLE contents")
    with pytest.raises(RepositoryError, match="remove it"):
        index.get(bytes(32))
    index.close()
