"""Transactions: what was put in comes out, all of it at once, and nothing twice."""

import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from offload.cache.cvmfs import items, objects
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.errors import (
    RefusedItemError,
    RepositoryBusyError,
    RepositoryError,
    UntrustedError,
)
from offload.cache.cvmfs.items import Item, read_folder
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.manifest import SignedManifest
from offload.cache.cvmfs.repository import Repository, Settings
from offload.cache.cvmfs.whitelist import Whitelist
from offload.cache.errors import NoSpaceError
from offload.snapshot.tree import Kind

FQRN = "environments.example.org"
LAYER = b"/.layers/ab/abcd/layerfs"


def publish(repository, trees, tag=None):
    with repository.transaction() as transaction:
        for path, tree in trees.items():
            transaction.put_tree(path, tree)
        return transaction.commit(tag)


def objects_of(repository) -> set[str]:
    return {str(name) for name in repository._storage.names()}


def test_a_new_repository_is_empty_signed_and_whole(repository, keys, clock, contents):
    manifest = repository.head()
    assert (manifest.revision, manifest.fqrn) == (1, FQRN)
    assert contents(repository) == {}
    data = (repository.public / ".cvmfspublished").read_bytes()
    certificate = repository._storage.read(manifest.certificate)
    assert SignedManifest.parse(data).verify(certificate, FQRN) == manifest
    whitelist = Whitelist.verify(
        (repository.public / ".cvmfswhitelist").read_bytes(),
        [keys.master.public],
        FQRN,
        clock(),
    )
    whitelist.allow(certificate)
    assert whitelist.expires - clock() == timedelta(days=30)
    assert (repository.public / ".cvmfs_last_snapshot").read_bytes() == b""
    private = repository.public.parent / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


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


def test_what_is_kept_stays_when_one_turns_back(repository, make, contents):
    old = [make.file(b"a", b"old")]
    publish(repository, {b"/t": old}, tag="stable")
    tree = [make.file(b"a/b/%d" % n, b"%d" % n) for n in range(50)]
    publish(repository, {b"/t": [make.file(b"a", b"new")], b"/u/v": tree, b"/w": old})
    now = contents(repository)
    repository.rollback("stable", keep=[b"/u/v", b"/t", b"/not/there"])
    found = contents(repository)
    kept = {path for path in now if path.startswith(b"/u")}
    assert len(kept) > 50
    assert {path: now[path] for path in kept} == {p: found[p] for p in kept}
    assert found.keys() - kept == {p for p in now if p.startswith(b"/t")}
    assert found[b"/t/a"] != now[b"/t/a"]


def test_what_is_kept_and_damaged_does_not_keep_one_from_turning_back(repository, make):
    publish(repository, {b"/t": [make.file(b"a", b"old")]}, tag="stable")
    publish(repository, {b"/u": [make.file(b"a", b"new")]})
    catalogue = repository.public / repository.head().catalogue.path
    catalogue.write_bytes(b"damaged")
    repository.rollback("stable", keep=[b"/u"])
    with repository.transaction() as transaction:
        assert transaction.lookup(b"/t/a") is not None


def test_revisions_can_be_named_and_turned_back_to(repository, make, clock, contents):
    publish(repository, {b"/t": [make.file(b"a", b"old")]}, tag="stable")
    old = contents(repository)
    clock.forward(hours=1)
    publish(repository, {b"/t": [make.file(b"a", b"new")]})
    manifest = repository.rollback("stable")
    assert (manifest.revision, manifest.published) == (4, clock())
    assert contents(repository) == old
    assert [(tag.name, tag.revision) for tag in repository.tags()] == [
        ("revision-1", 1),
        ("revision-2", 2),
        ("stable", 2),
        ("revision-3", 3),
        ("revision-4", 4),
    ]
    assert repository.rollback("revision-4") == manifest
    with pytest.raises(RepositoryError, match="no tag 'stale'"):
        repository.rollback("stale")
    with repository.transaction() as transaction:
        assert transaction.commit("stable").revision == 5
    assert ("stable", 5) in [(tag.name, tag.revision) for tag in repository.tags()]


@pytest.mark.parametrize("tag", ["", "a b", "../x", "x" * 300, "revision-9", "é"])
def test_names_that_are_no_tags_are_refused(repository, tag):
    with (
        repository.transaction() as transaction,
        pytest.raises(RepositoryError, match="expected letters"),
    ):
        transaction.commit(tag)


def test_time_never_goes_back(repository, make, clock):
    published = repository.head().published
    clock.forward(days=-1)
    assert publish(repository, {b"/t": [make.file(b"a")]}).published == published


def test_one_writer_at_a_time(repository, tmp_path, keys):
    other = Repository(tmp_path / "repository", FQRN, keys).open()
    entered = threading.Event()
    with repository.transaction():
        with (
            pytest.raises(RepositoryBusyError, match="another process is writing"),
            other.transaction(),
        ):
            pass

        def wait():
            with other.transaction(wait_s=60):
                entered.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.1)
    thread.join(60)
    assert entered.is_set()


def test_repositories_are_made_once_and_opened_by_their_keys(
    repository, tmp_path, keys, clock
):
    place = tmp_path / "repository"
    with pytest.raises(RepositoryError, match="already"):
        Repository(place, FQRN, keys).create()
    with pytest.raises(RepositoryError, match="make one first"):
        Repository(tmp_path / "other", FQRN, keys).open()
    with pytest.raises(UntrustedError, match="not signed"):
        Repository(place, FQRN, Keys.generate(FQRN, clock())).open()
    with pytest.raises(UntrustedError, match="expected one of"):
        Repository(place, "other.example.org", keys).open()


@pytest.mark.parametrize(
    "fqrn", ["", "nodot", "UPPER.case", "a..b", "x\n.y", "a." * 40]
)
def test_names_that_are_no_repositorys_are_refused(tmp_path, keys, fqrn):
    with pytest.raises(RepositoryError, match="expected a name like"):
        Repository(tmp_path / "new", fqrn, keys).create()


def test_the_whitelist_is_renewed_here_or_where_the_master_key_is(
    tmp_path, repository, keys, clock
):
    clock.forward(days=29)
    assert repository.renew_whitelist().expires == clock() + timedelta(days=30)
    away = Keys(keys.repository, None)
    other = Repository(tmp_path / "other", FQRN, away, Settings(), clock).create()
    with pytest.raises(RepositoryError, match="master key is not here"):
        other.renew_whitelist()
    signed = (repository.public / ".cvmfswhitelist").read_bytes()
    other.install_whitelist(signed, [keys.master.public])
    assert (other.public / ".cvmfswhitelist").read_bytes() == signed
    with pytest.raises(UntrustedError, match="none of"):
        other.install_whitelist(signed, [Keys.generate(FQRN, clock()).master.public])


def test_the_size_of_pieces_is_exact():
    whole = os.urandom(9 << 20)
    parts = list(
        items.pieces(
            lambda: (whole[i : i + 77_777] for i in range(0, len(whole), 77_777))
        )
    )
    assert b"".join(parts) == whole
    assert [len(part) for part in parts] == [4 << 20, 4 << 20, 1 << 20]


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
        index.flush()
    index.close()


def test_an_index_that_is_damaged_while_it_is_used_is_one_line(tmp_path):
    index = Contents(tmp_path / "index")
    index._connection.execute("DROP TABLE contents")
    with pytest.raises(RepositoryError, match="remove it"):
        index.get(bytes(32))
    index.close()
