"""One state of a file, whatever happens between two reads of it."""

import os
from pathlib import Path

import pytest

from offload.snapshot import (
    ChangingError,
    Entry,
    Kind,
    Request,
    freeze,
    manifest,
    scan,
    verify,
)
from offload.snapshot.files import reading
from offload.snapshot.files.capture import capture, hash_file
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.reading import GoneError, TornError, opened, show
from offload.snapshot.files.survey import leads_out, look
from offload.snapshot.layers import packer


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"a" * 100_000)
    return file


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"b" * 100_000)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def restore_times(path: Path) -> None:
    status = path.stat()
    overwrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {
    "overwritten": overwrite,
    "appended": append,
    "truncated": lambda path: os.truncate(path, 10),
    "emptied": lambda path: path.write_bytes(b""),
    "times put back": restore_times,
    "mode": lambda path: path.chmod(0o600),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_between_pieces_is_seen(path, change):
    with opened(os.fsencode(path)) as file:
        pieces = file.pieces(1000)
        next(pieces)
        change(path)
        with pytest.raises(TornError):
            list(pieces)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_before_the_last_look_is_seen(path, change, monkeypatch):
    readv = os.readv

    def changed_after(descriptor, buffers):
        count = readv(descriptor, buffers)
        change(path)
        return count

    with opened(os.fsencode(path)) as file:
        monkeypatch.setattr(os, "readv", changed_after)
        with pytest.raises(TornError):
            file.read_into(memoryview(bytearray(200_000)))


def test_what_takes_its_place_does_not_mix(path):
    """Renamed over: the old file is read to its end, or torn; never both."""
    with opened(os.fsencode(path)) as file:
        pieces = file.pieces(1000)
        read = [bytes(next(pieces))]
        other = path.with_name("other")
        other.write_bytes(b"b" * 100_000)
        other.rename(path)
        with pytest.raises(TornError):  # its number of names has changed
            read.extend(map(bytes, pieces))
    assert set(b"".join(read)) == {ord("a")}


def test_short_reads_are_put_together(path, monkeypatch):
    readv = os.readv
    monkeypatch.setattr(os, "readv", lambda fd, into: readv(fd, [into[0][:777]]))
    with opened(os.fsencode(path)) as file:
        assert file.read_into(memoryview(bytearray(100_001))) == b"a" * 100_000


@pytest.mark.parametrize("kind", ["nothing", "link", "pipe", "folder"])
def test_what_is_no_file_is_gone(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(GoneError), opened(os.fsencode(path)):
        pass


def test_it_is_read_again_until_it_is_still(tmp_path, path):
    tries = []

    def read(file) -> Entry:
        tries.append(file.size)
        if len(tries) < 3:
            append(path)
        return hash_file(b"file", file)

    root = os.fsencode(tmp_path)
    entry, _ = capture(root, look(root + b"/", b"file"), read)
    assert tries == [100_000, 100_004, 100_008]
    assert entry.size == 100_008


def test_it_is_given_up_in_the_end(tmp_path, path, monkeypatch):
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))

    def read(file) -> Entry:
        append(path)
        return hash_file(b"file", file)

    root = os.fsencode(tmp_path)
    with pytest.raises(ChangingError, match="each of the 3 times"):
        capture(root, look(root + b"/", b"file"), read)


@pytest.mark.parametrize(
    ("becomes", "kind"), [("gone", None), ("link", Kind.LINK), ("folder", Kind.FOLDER)]
)
def test_what_it_became_is_taken(tmp_path, path, becomes, kind):
    root = os.fsencode(tmp_path)
    found = look(root + b"/", b"file")
    path.unlink()
    if becomes == "link":
        path.symlink_to("target")
    elif becomes == "folder":
        path.mkdir()
    entry, state = capture(root, found, lambda file: hash_file(b"file", file))
    assert (None if entry is None else entry.kind) is kind
    assert state is None


def test_a_torn_large_file_leaves_nothing_in_the_layer(
    tmp_path, path, store, restore, monkeypatch
):
    """Also the compressor has already had a part of what is thrown away."""
    monkeypatch.setattr(packer, "_WHOLE", 1000)
    monkeypatch.setattr(packer, "PIECE", 1000)
    (tmp_path / "root").mkdir()
    path = path.rename(tmp_path / "root" / "file")
    (tmp_path / "root" / "after").write_text("what follows is in its place")
    append_to = packer.LayerWriter.append
    torn = []

    def append_and_change(self, piece):
        append_to(self, piece)
        if len(torn) < 150:
            torn.append(0)
            if len(torn) in (50, 150):
                overwrite(path) if len(torn) == 50 else append(path)

    monkeypatch.setattr(packer.LayerWriter, "append", append_and_change)
    snapshot = freeze(Request(tmp_path / "root"), store)
    assert len(torn) == 150
    assert verify(snapshot, store) == []
    again = restore(snapshot, store, tmp_path / "again")
    assert scan(again) == manifest(snapshot, store, "code")
    assert (again / "file").read_bytes() == b"b" * 100_000 + b"more"


def test_only_settled_states_are_remembered():
    state = Fingerprint(
        1, 2, 3, mtime_ns=10_000_000_000, ctime_ns=11_000_000_000, mode=0o644
    )
    assert not state.is_settled(11_000_000_000)
    assert not state.is_settled(12_999_999_999)
    assert state.is_settled(13_000_000_001)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        (b"a", b"b", False),
        (b"a", b"../b", True),
        (b"a/b", b"../c", False),
        (b"a/b", b"../../c", True),
        (b"a/b", b"c/../../d", False),
        (b"a/b", b"../.././x/..", True),
        (b"a", b"/etc", True),
        (b"a", b".", False),
    ],
)
def test_links_that_lead_out_are_told(path, target, out):
    assert leads_out(path, target) is out


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"plain name", "plain name"),
        ("häufig".encode(), "häufig"),
        (b"new\nline", "new\\nline"),
        (b"\xff", "\\xff"),
        (b"\x1b[31m", "\\x1b[31m"),
    ],
)
def test_a_path_is_shown_in_one_line(path, shown):
    assert show(path) == shown
