"""What is written to a catalogue is read from it, by us and by any SQLite."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.cache.cvmfs.catalogue import Catalogue, Counters
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import NO_PARENT, ObjectName, Suffix, key_of, parent_of
from offload.cache.cvmfs.rows import Chunk, Nested, Row
from offload.snapshot.tree import Kind

DIGEST = bytes(range(20))
names = st.binary(min_size=1, max_size=20).filter(lambda n: not {0, 47} & set(n))
modes = st.integers(0, 0o777)
times = st.integers(-(1 << 33), 1 << 40)
digests = st.binary(min_size=20, max_size=20)
rows = st.one_of(
    st.tuples(modes, st.integers(0, 1 << 40), times, digests).map(
        lambda found: Row(b"", Kind.FILE, *found)
    ),
    st.tuples(times, names).map(
        lambda found: Row(
            b"", Kind.LINK, 0o777, len(found[1]), found[0], target=found[1]
        )
    ),
    st.tuples(modes, times).map(
        lambda found: Row(b"", Kind.FOLDER, found[0], 4096, found[1])
    ),
    st.tuples(modes, times, st.lists(digests, min_size=2, max_size=4)).map(
        lambda found: Row(
            b"",
            Kind.FILE,
            found[0],
            10 * len(found[2]),
            found[1],
            chunks=tuple(Chunk(10 * n, 10, d) for n, d in enumerate(found[2])),
        )
    ),
)


def entry(path: bytes, row: Row) -> tuple[bytes, bytes, Row]:
    return key_of(path), key_of(parent_of(path)) if path else NO_PARENT, row


def catalogue(root: bytes, found: dict[bytes, Row], nested=(), **more) -> Catalogue:
    entries = [entry(path, row) for path, row in found.items()]
    data, _ = write_catalogue(root, entries, nested, Counters(), **more)
    return Catalogue.of(data, "a test's")


@settings(max_examples=40)
@given(st.dictionaries(names, rows, max_size=30))
def test_rows_come_back_as_they_were_written(found):
    here = {b"/" + name: row._replace(name=name) for name, row in found.items()}
    made = catalogue(b"", here)
    assert made.listing(b"") == sorted(here.values(), key=lambda row: row.name)
    assert all(made.lookup(path) == row for path, row in here.items())
    entries = [entry(path, row) for path, row in here.items()]
    assert sorted(made.rows()) == sorted(entries)


def test_the_same_rows_give_the_same_bytes_in_any_order():
    entries = [
        entry(b"/%d" % n, Row(b"%d" % n, Kind.FILE, 0o644, n, 0, DIGEST))
        for n in range(500)
    ]
    one, _ = write_catalogue(b"", entries, [], Counters())
    other, _ = write_catalogue(b"", reversed(entries), [], Counters())
    assert one == other


def test_clients_find_what_they_look_for():
    """Tables, flags and numbers as CernVM-FS defines them, read without our reader."""
    chunks = (Chunk(0, 10, DIGEST), Chunk(10, 5, DIGEST[::-1]))
    nested = Nested(b"/m/n", ObjectName(DIGEST, Suffix.CATALOGUE), 77)
    found = {
        b"/m": Row(b"m", Kind.FOLDER, 0o755, 4096, 3, is_catalogue_root=True),
        b"/m/f": Row(b"f", Kind.FILE, 0o640, 15, 4, DIGEST),
        b"/m/c": Row(b"c", Kind.FILE, 0o644, 15, 4, chunks=chunks),
        b"/m/l": Row(b"l", Kind.LINK, 0o777, 1, 5, target=b"f"),
        b"/m/n": Row(b"n", Kind.FOLDER, 0o700, 4096, 6, is_mount_point=True),
    }
    data, own = write_catalogue(
        b"/m",
        [entry(path, row) for path, row in found.items()],
        [nested],
        Counters(regular=9, file_size=100),
        revision=3,
        modified=1_700_000_000,
        ttl_s=60,
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        ask = lambda query: connection.execute(query).fetchall()  # noqa: E731
        columns = "name, flags, mode, size, mtime, hash, symlink, hardlinks, uid, gid"
        assert ask(f"SELECT {columns} FROM catalog ORDER BY name") == [
            ("c", 4 | 64, 0o100644, 15, 4, None, "", 1, 0, 0),
            ("f", 4, 0o100640, 15, 4, DIGEST, "", 1, 0, 0),
            ("l", 4 | 8, 0o120777, 1, 5, None, "f", 1, 0, 0),
            ("m", 1 | 32, 0o040755, 4096, 3, None, "", 1, 0, 0),
            ("n", 1 | 2, 0o040700, 4096, 6, None, "", 1, 0, 0),
        ]
        assert ask("SELECT offset, size, hash FROM chunks ORDER BY offset") == [
            (0, 10, DIGEST),
            (10, 5, DIGEST[::-1]),
        ]
        assert ask("SELECT path, sha1, size FROM nested_catalogs") == [
            ("/m/n", DIGEST.hex(), 77)
        ]
        assert ask("SELECT * FROM bind_mountpoints") == []
        assert dict(ask("SELECT key, value FROM properties")) == {
            "schema": "2.5",
            "schema_revision": "6",
            "revision": "3",
            "last_modified": "1700000000",
            "root_prefix": "/m",
            "TTL": "60",
        }
        counters = dict(ask("SELECT counter, value FROM statistics"))
        assert (counters["self_regular"], counters["self_file_size"]) == (2, 30)
        assert (counters["self_chunked"], counters["self_chunks"]) == (1, 2)
        assert (counters["self_dir"], counters["self_nested"]) == (1, 1)
        assert (counters["subtree_regular"], counters["subtree_file_size"]) == (9, 100)
        assert len(counters) == 24
        assert ask("PRAGMA integrity_check") == [("ok",)]
    made = Catalogue.of(data, "a test's")
    assert (made.root, made.revision, made.modified) == (b"/m", 3, 1_700_000_000)
    assert made.nested() == (nested,)
    assert made.nested_of(b"/m/n") == made.nested_of(b"/m/n/deep/er") == nested
    assert made.nested_of(b"/m/nn") is None is made.nested_of(b"/m")
    assert made.lookup(b"/m/c") == found[b"/m/c"]
    assert made.chunks(b"/m/c") == chunks
    assert made.counters() == (own, Counters(regular=9, file_size=100))
    assert set(made.objects()) == {
        ObjectName(DIGEST),
        ObjectName(DIGEST, Suffix.CHUNK),
        ObjectName(DIGEST[::-1], Suffix.CHUNK),
        nested.object,
    }


def test_lookups_use_keys_not_scans():
    made = catalogue(b"", {})
    for query in ("md5path_1 = 1 AND md5path_2 = 2", "parent_1 = 1 AND parent_2 = 2"):
        plan = made._connection.execute(
            f"EXPLAIN QUERY PLAN SELECT name FROM catalog WHERE {query}"
        ).fetchall()
        assert b"USING INDEX" in plan[0][3]


@pytest.mark.parametrize(
    "data", [b"", b"SQLite format 3\0" + bytes(200), b"x" * 5000, bytes(4096)]
)
def test_what_is_no_catalogue_is_refused(data, tmp_path):
    with pytest.raises(RepositoryError, match="no catalogue|expected a catalogue"):
        Catalogue.of(data, "a test's")
    path = tmp_path / "catalogue"
    path.write_bytes(data)
    with pytest.raises(RepositoryError, match="no catalogue|expected a catalogue"):
        Catalogue.open(path)
    with pytest.raises(RepositoryError, match="no catalogue"):
        Catalogue.open(tmp_path / "missing")


def test_a_catalogue_in_a_file_is_never_changed(tmp_path):
    data, _ = write_catalogue(b"", [], [], Counters())
    path = tmp_path / "a # strange? name"
    path.write_bytes(data)
    made = Catalogue.open(path)
    assert made.lookup(b"/x") is None
    made.close()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
