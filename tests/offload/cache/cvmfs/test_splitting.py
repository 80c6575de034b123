"""Large catalogues are cut; what they say stays the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.cvmfs.catalogue import Counters
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.names import name_of
from offload.cache.cvmfs.repository import Repository, Settings
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.splitting import MOUNT_POINT_ROWS, cuts
from offload.snapshot.tree import Kind

FQRN = "environments.example.org"


def draft(folders: dict[bytes, int]) -> Draft:
    """A catalogue with so many files in each folder."""
    made = Draft(b"", Row(b"", Kind.FOLDER, 0o755, 4096, 0))
    for folder, files in folders.items():
        made.put(folder, Row(name_of(folder), Kind.FOLDER, 0o755, 4096, 0))
        for number in range(files):
            name = b"%d" % number
            made.put(folder + b"/" + name, Row(name, Kind.FILE, 0o644, 0, 0, b""))
    return made


def test_what_is_small_stays_whole():
    assert cuts(draft({b"/a": 50, b"/b": 40}), 100) == []


def test_the_largest_folders_are_cut_first():
    assert cuts(draft({b"/a": 70, b"/b": 20, b"/c": 30}), 100) == [b"/a"]


def test_folders_are_cut_inside_of_folders_deepest_first():
    found = draft({b"/a": 1, b"/a/b": 90, b"/a/c": 90, b"/d": 10})
    assert cuts(found, 100) == [b"/a/c", b"/a/b", b"/a"]


def test_what_cannot_be_cut_stays_whole():
    assert cuts(draft({b"/a": 500}), 100) == [b"/a"]
    found = draft({})
    for number in range(500):
        name = b"%d" % number
        found.put(b"/" + name, Row(name, Kind.FILE, 0o644, 0, 0, b""))
    assert cuts(found, 100) == []


paths = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4)


@given(st.dictionaries(paths.map(lambda p: b"/" + b"/".join(p)), st.integers(0, 60)))
def test_parts_are_small_and_hold_all_rows(folders):
    whole = {}
    for path, files in folders.items():
        parts = path.split(b"/")
        for i in range(2, len(parts)):
            whole.setdefault(b"/".join(parts[:i]), 0)
        whole[path] = files
    made = draft(dict(sorted(whole.items())))
    keys = set(made.rows)
    parts = [made.cut(path) for path in cuts(made, 100)]
    for part in [made, *parts]:
        own = sum(not row.is_mount_point for _, row in part.rows.values())
        # A folder of 60 files is never cut, nor are up to three light ones in it.
        assert (
            own + MOUNT_POINT_ROWS * len(part.nested)
            <= 100 + 60 + 3 * 2 * MOUNT_POINT_ROWS
        )
        assert all(row.is_mount_point == (p in part.nested) for p, row in _mounts(part))
    assert set().union(*(part.rows for part in [made, *parts])) == keys
    assert {part.root for part in parts} == {
        path for part in [made, *parts] for path in part.nested
    }


def _mounts(part):
    return [(path, row) for path in part.nested for row in [part.get(path)]]


@pytest.fixture
def small(tmp_path, keys, clock):
    settings = Settings(level=1, workers=1, most_rows=100)
    return Repository(tmp_path / "small", FQRN, keys, settings, clock).create()


def catalogues(repository, path=b""):
    """Root to catalogue, of all that are there."""
    found = {path: repository.namespace().catalogue_of(path)}
    for nested in found[path].nested():
        found |= catalogues(repository, nested.path)
    return found


def test_a_large_tree_is_many_catalogues_that_count_right(small, make, contents):
    tree = [
        make.file(b"d%d/e%d/f%d" % (d, e, f), b"%d" % f)
        for d in range(5)
        for e in range(5)
        for f in range(20)
    ]
    with small.transaction() as transaction:
        transaction.put_tree(b"/t", tree)
        transaction.commit()
    found = contents(small)
    assert {p: v[2] for p, v in found.items() if v[0] is Kind.FILE} == {
        b"/t/" + item.path: item.content for item in tree
    }
    check_counters(small)
    assert len(catalogues(small)) > 5
    with small.transaction() as transaction:
        transaction.remove(b"/t/d1")
        transaction.put(b"/t/d2/e2/new", make.file(b"", b"12345"))
        transaction.put_tree(b"/t/d3", tree[:30])
        transaction.commit()
    check_counters(small)
    with small.transaction() as transaction:
        transaction.remove(b"/t")
        transaction.commit()
    check_counters(small)
    assert contents(small) == {}


def check_counters(repository):
    """Every catalogue counts what it and those below it really hold."""
    found = catalogues(repository)
    for root, catalogue in found.items():
        own, below = catalogue.counters()
        inner = [c for r, c in found.items() if r != root and r.startswith(root + b"/")]
        total = Counters()
        for other in inner:
            total = total.plus(other.counters()[0])
        assert below == total
        rows = [row for _, _, row in catalogue.rows()]
        assert own.regular == sum(row.kind is Kind.FILE for row in rows)
        assert own.file_size == sum(row.size for row in rows if row.kind is Kind.FILE)
        assert own.nested == len(catalogue.nested())


def test_a_change_writes_only_the_catalogues_on_its_way(small, make):
    tree = [make.file(b"d%d/f%d" % (d, f)) for d in range(20) for f in range(60)]
    with small.transaction() as transaction:
        transaction.put_tree(b"/t", tree)
        transaction.commit()
    names = {nested for c in catalogues(small).values() for nested in c.nested()}
    with small.transaction() as transaction:
        transaction.put(b"/t/d7/new", make.file(b"", b"new"))
        transaction.commit()
    after = {nested for c in catalogues(small).values() for nested in c.nested()}
    changed = {nested.path for nested in after - names}
    assert len(names) > 10
    assert changed == {b"/t", b"/t/d7"}


def test_a_root_with_many_trees_is_cut_too(small, make, contents):
    for number in range(30):
        path = b"/.layers/%02x/%064d/layerfs" % (number % 4, number)
        with small.transaction() as transaction:
            transaction.put_tree(path, [make.file(b"f", b"%d" % number)])
            transaction.commit()
    root = small.namespace().catalogue_of(b"")
    assert [nested.path for nested in root.nested()] == [b"/.layers"]
    assert sum(row.kind is Kind.FILE for _, row in small.namespace().walk(b"")) == 30
    check_counters(small)
