"""Bytes arrive whole in spite of failures; what does not pass is one line."""

import itertools

import fsspec
import pytest

from facility.columnar import DatasetError
from facility.columnar.errors import ReadError
from facility.columnar.remote import RemoteFile, is_remote, one_opening, shown
from facility.columnar.remote.patience import Patience
from facility.columnar.remote.reader import RemoteReader
from facility.columnar.remote.urls import checked

CONTENT = bytes(range(256)) * 1000
URL = "memory://data/file.root"


class Flaky:
    """A file system whose requests fail while there are errors left."""

    def __init__(self, fs, errors):
        self._fs = fs
        self._errors = iter(errors)
        self.forgotten = 0

    def info(self, path):
        return self._or_fail(self._fs.info, path)

    def cat_ranges(self, *args, **kwargs):
        return self._or_fail(self._fs.cat_ranges, *args, **kwargs)

    def invalidate_cache(self, path):
        self.forgotten += 1
        raise OSError("cannot be closed")

    def _or_fail(self, method, *args, **kwargs):
        error = next(self._errors, None)
        if isinstance(error, Exception):
            raise error
        found = method(*args, **kwargs)
        return found if error is None else [error(part) for part in found]


@pytest.fixture
def content():
    fs = fsspec.filesystem("memory")
    fs.pipe("/data/file.root", CONTENT)
    yield fs
    fs.rm("/data", recursive=True)


def flaky(content, *errors, attempts=4):
    waits = []
    remote = RemoteFile(URL, Patience(attempts=attempts), waits.append)
    remote._fs = Flaky(content, errors)
    return remote, waits


def test_ranges_in_any_order_are_what_is_there(content):
    remote = RemoteFile(URL)
    ranges = [(1000, 1010), (0, 5), (7, 7), (200_000, 256_000), (3, 1005)]
    found = remote.read(ranges)
    assert [bytes(f) for f in found] == [CONTENT[a:b] for a, b in ranges]
    assert remote.bytes_read == 1010 + 56_000
    assert remote.info().size_bytes == len(CONTENT)


def test_failures_that_pass_are_waited_for(content):
    short = lambda part: part[:-1]  # noqa: E731
    remote, waits = flaky(content, TimeoutError(), OSError("broken"), short)
    assert bytes(remote.read([(10, 20)])[0]) == CONTENT[10:20]
    assert len(waits) == 3
    assert waits == sorted(waits)
    assert remote._fs.forgotten == 3


def test_what_failed_is_asked_for_again_and_nothing_else(content):
    remote, _ = flaky(content)
    asked = []
    parts = itertools.count()

    def cat_ranges(paths, starts, ends, **_):
        asked.append(list(zip(starts, ends, strict=True)))
        return [
            OSError("broken") if next(parts) == 1 else CONTENT[a:b]
            for a, b in zip(starts, ends, strict=True)
        ]

    remote._fs.cat_ranges = cat_ranges
    remote.read([(0, 5), (100_000, 100_001), (200_000, 200_005)])
    assert [len(a) for a in asked] == [3, 1]
    assert asked[1] == [(100_000, 100_001)]


@pytest.mark.parametrize(
    ("error", "attempts", "message"),
    [
        (OSError("broken"), 4, "cannot be reached .*broken.*: try again later"),
        (PermissionError("no"), 1, "permission denied .*: get a valid proxy"),
        (lambda part: part + b"more", 1, "cannot be read in parts .*got 14.*copy"),
    ],
)
def test_failures_that_stay_are_one_line(content, error, attempts, message):
    remote, waits = flaky(content, *[error] * 9)
    with pytest.raises(ReadError, match=message) as caught:
        remote.read([(0, 10)])
    assert len(waits) == attempts - 1
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(content):
    with pytest.raises(DatasetError, match="no such file") as caught:
        RemoteFile("memory://data/other.root").info()
    assert caught.value.exit_code == 2


def test_a_directory(content):
    with pytest.raises(DatasetError, match="is a directory"):
        RemoteFile("memory://data").info()


def test_a_scheme_nobody_knows():
    with pytest.raises(DatasetError, match="expected root://"):
        RemoteFile("gopher://host/file")


def test_reading_as_a_file(content):
    reader = RemoteReader(URL)
    assert reader.read(3) == CONTENT[:3]
    reader.seek(-4, 2)
    assert reader.read() == CONTENT[-4:]
    assert reader.read(1) == b""


@pytest.mark.parametrize(
    ("name", "remote"),
    [
        ("root://h//f", True),
        ("https://h/f", True),
        ("/a/b", False),
        ("file:///a", False),
    ],
)
def test_names(name, remote):
    assert is_remote(name) is remote


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("root://host/data/f.root", "root://host//data/f.root"),
        ("root://host:1094//data/f.root", "root://host:1094//data/f.root"),
        ("http://host/f.root?a=b", "http://host/f.root?a=b"),
    ],
)
def test_the_one_form_of_a_url(url, used):
    assert checked(url) == used


@pytest.mark.parametrize("url", ["http:///f.root", "root://host/", "https://host"])
def test_urls_that_name_nothing(url):
    with pytest.raises(DatasetError, match="names no"):
        checked(url)


def test_secrets_are_not_shown():
    url = "https://me:secret@host:8443/f.root?token=secret#secret"
    assert shown(url) == "https://host:8443/f.root"


def test_who_opens_a_file_asks_once(content):
    remote, _ = flaky(content)
    other = RemoteFile(URL)
    with one_opening():
        first = remote.info()
        remote._fs = None  # nothing can be asked any more
        other._fs = content
        assert [bytes(p) for p in other.read([(0, 4), (2, 9)])] == [
            CONTENT[:4],
            CONTENT[2:9],
        ]
        other._fs = None
        assert other.info() is first
        assert bytes(remote.read([(5, 75)])[0]) == CONTENT[5:75]
    other._fs = Flaky(content, [PermissionError("asked again")])
    with pytest.raises(ReadError, match="asked again"):
        other.read([(0, 4)])


def test_a_short_file_is_asked_for_what_is_there(content):
    content.pipe("/data/file.root", b"abc")
    with one_opening():
        assert bytes(RemoteFile(URL).read([(0, 2)])[0]) == b"ab"
        with pytest.raises(ReadError, match="got 3"):
            RemoteFile(URL, Patience(attempts=1)).read([(0, 20)])
