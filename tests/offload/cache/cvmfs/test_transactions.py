"""What was put in comes out, all of it at once, and nothing twice."""

import os

import pytest

from offload.cache.cvmfs import items
from offload.cache.cvmfs.items import Item
from offload.cache.errors import NoSpaceError
from offload.snapshot.tree import Kind

LAYER = b"/.layers/ab/abcd/layerfs"


def publish(repository, trees, tag=None):
    with repository.transaction() as transaction:
        for path, tree in trees.items():
            transaction.put_tree(path, tree)
        return transaction.commit(tag)


def objects_of(repository) -> set[str]:
    return {str(name) for name in repository._storage.names()}


def test_a_tree_comes_out_as_it_was_put_in(repository, make, contents):
    large = os.urandom(1000) * 12_000  # 12 MB: three chunks
    tree = [
        make.folder(b"", 0o750),
        make.folder(b"bin", 0o700),
        make.file(b"bin/tool", b"#!", 0o755),
        make.file(b"bin/empty", b""),
        make.link(b"bin/link", b"/usr/bin/python3"),
        make.file(b"no/folder/was/named", b"x"),
        make.file(b"large", large),
        make.file("größe \n\\".encode(), b"utf"),
        make.file(b"latin \xe9\xff", b"bytes"),
        make.file(b"bin/tool", b"the last one counts", 0o500),
    ]
    publish(repository, {LAYER: tree})
    found = contents(repository)
    assert {p: v for p, v in found.items() if p.startswith(LAYER)} == {
        LAYER: (Kind.FOLDER, 0o750, b""),
        LAYER + b"/bin": (Kind.FOLDER, 0o700, b""),
        LAYER + b"/bin/tool": (Kind.FILE, 0o500, b"the last one counts"),
        LAYER + b"/bin/empty": (Kind.FILE, 0o644, b""),
        LAYER + b"/bin/link": (Kind.LINK, 0o777, b"/usr/bin/python3"),
        LAYER + b"/no": (Kind.FOLDER, 0o755, b""),
        LAYER + b"/no/folder": (Kind.FOLDER, 0o755, b""),
        LAYER + b"/no/folder/was": (Kind.FOLDER, 0o755, b""),
        LAYER + b"/no/folder/was/named": (Kind.FILE, 0o644, b"x"),
        LAYER + b"/large": (Kind.FILE, 0o644, large),
        LAYER + "/größe \n\\".encode(): (Kind.FILE, 0o644, b"utf"),
        LAYER + b"/latin \xe9\xff": (Kind.FILE, 0o644, b"bytes"),
    }
    row = repository.namespace().lookup(LAYER + b"/large")
    assert [chunk.size for chunk in row.chunks] == [
        4 << 20,
        4 << 20,
        12_000_000 - (8 << 20),
    ]
    assert row.digest is None


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 8 << 20])
def test_contents_of_all_sizes_and_kinds_of_source(
    repository, tmp_path, size, contents
):
    data = os.urandom(1 + size // 7) * 7
    data = data[:size]
    path = tmp_path / "content"
    path.write_bytes(data)
    cut = lambda: (data[i : i + 999_999] for i in range(0, len(data), 999_999))  # noqa: E731
    sources = {b"bytes": data, b"path": path, b"parts": cut}
    tree = [
        Item(name, Kind.FILE, 0o644, size, content=source)
        for name, source in sources.items()
    ]
    publish(repository, {b"/t": tree})
    found = contents(repository)
    assert [found[b"/t/" + name][2] == data for name in sources] == [True] * 3


def test_set_id_bits_are_left_out(repository, make):
    publish(repository, {b"/t": [make.file(b"su", b"", 0o6755)]})
    assert repository.namespace().lookup(b"/t/su").mode == 0o755


def test_nothing_is_visible_before_the_commit(repository, make, contents):
    before = repository.head()
    with repository.transaction() as transaction:
        transaction.put_tree(b"/t", [make.file(b"a", b"a")])
        assert transaction.lookup(b"/t/a").size == 1
        assert repository.head() == before
    assert repository.head() == before
    assert contents(repository) == {}
    with repository.transaction() as transaction:
        assert transaction.lookup(b"/t") is None


def test_what_is_published_twice_is_published_once(repository, make, clock):
    tree = [make.file(b"a", b"a" * 100), make.folder(b"b")]
    first = publish(repository, {LAYER: tree})
    there = objects_of(repository)
    clock.forward(hours=1)
    assert publish(repository, {LAYER: tree}) == first
    assert objects_of(repository) == there
    with repository.transaction() as transaction:
        assert transaction.commit() == first


def test_single_entries_are_set_and_removed(repository, make, contents):
    publish(repository, {b"/t": [make.file(b"a/b", b"1"), make.file(b"c", b"2")]})
    with repository.transaction() as transaction:
        transaction.put(b"t/a/new", make.file(b"", b"3", 0o600))
        transaction.put(b"/t/a", make.folder(b"", 0o711))
        transaction.put(b"/t", make.folder(b"", 0o511))
        transaction.symlink(b"/images/registry/name:1", b"../../t")
        assert transaction.remove(b"/t/c")
        assert not transaction.remove(b"/t/c")
        assert not transaction.remove(b"/nothing/here")
        transaction.commit()
    assert contents(repository) == {
        b"/t": (Kind.FOLDER, 0o511, b""),
        b"/t/a": (Kind.FOLDER, 0o711, b""),
        b"/t/a/b": (Kind.FILE, 0o644, b"1"),
        b"/t/a/new": (Kind.FILE, 0o600, b"3"),
        b"/images": (Kind.FOLDER, 0o755, b""),
        b"/images/registry": (Kind.FOLDER, 0o755, b""),
        b"/images/registry/name:1": (Kind.LINK, 0o777, b"../../t"),
    }
    with repository.transaction() as transaction:
        transaction.put(b"/t/a", make.file(b"", b"a file now"))
        transaction.remove(b"/images")
        transaction.commit()
    assert set(contents(repository)) == {b"/t", b"/t/a"}
    with repository.transaction() as transaction:
        transaction.remove(b"/t")
        transaction.commit()
    assert contents(repository) == {}
    assert repository.namespace().catalogue_of(b"").nested() == ()


def test_a_tree_replaces_what_was_there(repository, make, contents):
    publish(repository, {b"/t/inner": [make.file(b"deep", b"1")]})
    publish(repository, {b"/t": [make.file(b"new", b"2")]})
    assert set(contents(repository)) == {b"/t", b"/t/new"}
    publish(repository, {b"/t": [], b"/t/inner": [make.file(b"again", b"3")]})
    assert set(contents(repository)) == {b"/t", b"/t/inner", b"/t/inner/again"}


def test_a_full_disk_is_one_line_and_nothing_is_published(
    repository, make, monkeypatch, contents
):
    publish(repository, {b"/t": [make.file(b"a", b"1")]})
    before = contents(repository)
    write, left = os.write, [3]

    def full(handle, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr("offload.cache.cvmfs.storage.os.write", full)
    tree = [make.file(b"%d" % n, os.urandom(100)) for n in range(10)]
    with pytest.raises(NoSpaceError, match="disk is full; nothing was published"):
        publish(repository, {b"/u": tree})
    monkeypatch.undo()
    assert contents(repository) == before
    assert list((repository.public.parent / "private" / "drafts").iterdir()) == []
    publish(repository, {b"/u": tree})


def test_the_size_of_pieces_is_exact():
    whole = os.urandom(9 << 20)
    parts = list(
        items.pieces(
            lambda: (whole[i : i + 77_777] for i in range(0, len(whole), 77_777))
        )
    )
    assert b"".join(parts) == whole
    assert [len(part) for part in parts] == [4 << 20, 4 << 20, 1 << 20]
