"""Objects on disk: found by an index that all append to, verified before they are used."""

import os
import time
from pathlib import Path

import pytest

from offload.cache.reading.index import Index
from offload.cache.reading.store import Content, Store, digest_of

A, B = "aa" + "0" * 38, "aa" + "1" * 38
ONE, TWO = f"{'1' * 40}.644.7", f"{'2' * 40}.755.-3"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_an_index_is_shared_and_the_last_line_counts(tmp_path):
    mine, other = Index(str(tmp_path)), Index(str(tmp_path))
    assert mine.get(A) is None
    mine.put(A, ONE)
    assert other.get(A) == ONE
    other.put(A, TWO)
    other.put(B, ONE)
    assert dict(mine.items()) == {A: TWO, B: ONE}
    mine.put(A)
    assert other.get(A) is None


def test_what_is_garbled_is_no_line_and_spoils_no_other(tmp_path):
    index = Index(str(tmp_path))
    index.put(A, ONE)
    with (tmp_path / "aa").open("ab") as file:
        file.write(f"{B} {TWO}".encode()[:-9])  # torn by a crash
    assert index.get(B) is None
    index.put(B, TWO)
    with (tmp_path / "aa").open("ab") as file:
        file.write(b"\xff\xfe nothing\n")
    assert dict(Index(str(tmp_path)).items()) == {A: ONE, B: TWO}
    assert index.get(B) == TWO


def test_an_index_forgets_what_is_not_kept(tmp_path):
    index, other = Index(str(tmp_path)), Index(str(tmp_path))
    for number in range(100):
        index.put(f"aa{number:038}", ONE)
    assert other.get(f"aa{0:038}") == ONE
    size = (tmp_path / "aa").stat().st_size
    index.keep([A])
    assert (tmp_path / "aa").stat().st_size < size / 50
    assert dict(other.items()) == {A: ONE}


def test_contents_have_the_mode_and_time_that_is_asked_for(store):
    content = store.add(A, [b"con", b"tent"], mode=0o640, mtime=5)
    variant = store.variant(content, 0o755, 6)
    assert store.variant(content, 0o640, 5) == content
    for one, mode, mtime in ((content, 0o640, 5), (variant, 0o755, 6)):
        status = Path(store.path(one)).stat()
        assert (status.st_mode & 0o777, status.st_mtime) == (mode, mtime)
        assert digest_of(store.path(one)) == content.digest
    assert Content.parse(str(variant)) == variant


def test_what_was_touched_is_verified_and_what_is_damaged_is_gone(store, tmp_path):
    path = store.path(store.add(A, [b"content"]))
    assert store.find(A, 7) == path
    assert store.find(A, 8) is None  # of another size: it is removed
    assert store.find(A) is None
    store.add(A, [b"content"])
    os.utime(path, (9, 9))
    assert store.find(A) is None
    store.add(A, [b"content"])
    Path(path).chmod(0o644)
    with open(path, "r+b") as file:  # noqa: PTH123
        file.write(b"C")
    Path(path).chmod(0o444)
    os.utime(path, (0, 0))
    # This process has written it; another one, or who distrusts it, reads it.
    assert Store(tmp_path).find(A) is None
    assert store.find(A) is None


def test_what_fails_in_the_middle_leaves_nothing(store, tmp_path):
    def pieces():
        yield b"some"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.add(A, pieces())
    assert store.content(A) is None
    assert list(store.drafts()) == []


def test_use_is_noted_now_and_then(store):
    content = store.add(A, [b"content"])
    path = store.path(content)
    long_ago = time.time() - 5000
    os.utime(path, (long_ago, 0))
    assert store.find(A) == path
    assert store.kept()[content].used > time.time() - 60
    assert Path(path).stat().st_mtime == 0
