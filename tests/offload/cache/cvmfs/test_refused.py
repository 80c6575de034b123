"""What cannot stand in a repository is refused with one line; nothing is published."""

import os

import pytest

from offload.cache.cvmfs.errors import (
    RefusedItemError,
    RepositoryError,
)
from offload.cache.cvmfs.items import Item, read_folder
from offload.snapshot.tree import Kind


def publish(repository, trees, tag=None):
    with repository.transaction() as transaction:
        for path, tree in trees.items():
            transaction.put_tree(path, tree)
        return transaction.commit(tag)


REFUSED = [
    (b"../x", "stays below"),
    (b"/etc/x", "stays below"),
    (b"a/../../x", "stays below"),
    (b"a//x", "stays below"),
    (b"./x", "stays below"),
    (b"a/", "stays below"),
    (b"a\0b", "NUL"),
    (b"n" * 256, "longer than 255"),
    (b"/".join([b"d" * 200] * 21), "longer than 4095"),
    (b"/".join([b"d"] * 300), "more than 250 folders"),
]


@pytest.mark.parametrize(("path", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_paths_that_escape_or_cannot_be_opened_are_refused(
    repository, make, path, why, contents
):
    before = repository.head()
    tree = [make.file(b"fine", b"fine"), make.file(path, b"x")]
    with pytest.raises(RefusedItemError, match=why) as caught:
        publish(repository, {b"/t": tree})
    assert "\n" not in str(caught.value)
    assert repository.head() == before
    assert contents(repository) == {}


@pytest.mark.parametrize(
    "tree",
    [
        [
            Item(b"a", Kind.LINK, 0o777, target=b"/etc"),
            Item(b"a/passwd", Kind.FOLDER, 0),
        ],
        [Item(b"a", Kind.FILE, 0o644), Item(b"a/b", Kind.FOLDER, 0o755)],
        [Item(b"", Kind.LINK, 0o777, target=b"x")],
        [Item(b"a", Kind.LINK, 0o777, target=b"")],
        [Item(b"a", Kind.LINK, 0o777, target=b"x" * 5000)],
        [Item(b"a", Kind.FILE, 0o644, size=3, content=b"four")],
        [Item(b"a", Kind.FILE, 0o644, size=5, content=b"four")],
        [Item(b"a", Kind.FILE, 0o644, size=9 << 20, content=b"four")],
        [Item(b"a", Kind.FILE, 0o644, size=4, content=bytes(5 << 20))],
        [Item(b"a", Kind.FILE, 0o644, size=4, content=b"four", sha256="ab" * 32)],
        [
            Item(
                b"a",
                Kind.FILE,
                0o644,
                size=5 << 20,
                content=bytes(5 << 20),
                sha256="ab" * 32,
            )
        ],
        [Item(b"a", Kind.FILE, 0o644, size=-1)],
    ],
)
def test_trees_that_are_none_are_refused(repository, tree):
    before = repository.head()
    with pytest.raises(RefusedItemError):
        publish(repository, {b"/t": tree})
    assert repository.head() == before


@pytest.mark.parametrize("target", [b"$(HOME)/.ssh", b"a/$(X:-/etc)/b", b"$("])
def test_links_that_clients_lead_elsewhere_are_refused(repository, make, target):
    before = repository.head()
    with pytest.raises(RefusedItemError, match=r"'link': .*variable"):
        publish(repository, {b"/t": [make.link(b"link", target)]})
    with repository.transaction() as transaction:
        with pytest.raises(RefusedItemError):
            transaction.symlink(b"/link", target)
        transaction.symlink(b"/kept", b"a/$HOME/(b)/$")
        transaction.commit()
    assert repository.namespace().lookup(b"/kept").target == b"a/$HOME/(b)/$"
    assert repository.namespace().lookup(b"/t") is None
    assert repository.head().revision == before.revision + 1


def test_only_files_folders_and_links_are_read_from_disk(repository, tmp_path):
    place = tmp_path / "place"
    (place / "folder").mkdir(parents=True)
    (place / "folder" / "file").write_bytes(b"x")
    (place / "link").symlink_to("folder")
    assert [item.path for item in read_folder(place)] == [
        b"folder",
        b"folder/file",
        b"link",
    ]
    os.mkfifo(place / "pipe")
    with pytest.raises(RefusedItemError, match="type 0o10000"):
        publish(repository, {b"/t": read_folder(place)})


def test_nothing_can_be_put_in_place_of_the_root_or_into_a_file(repository, make):
    with repository.transaction() as transaction:
        transaction.put(b"/f", make.file(b"", b"x"))
        with pytest.raises(RefusedItemError, match="expected a folder"):
            transaction.put(b"/f/inside", make.file(b"", b"y"))
        with pytest.raises(RefusedItemError, match="root"):
            transaction.put(b"/", make.folder(b""))
        with pytest.raises(RepositoryError, match="root"):
            transaction.remove(b"")
