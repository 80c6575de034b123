"""What a job changed, packed."""

from __future__ import annotations

import contextlib
import os
import socket
import tarfile
from io import BytesIO, FileIO
from pathlib import Path

import pytest

from offload import zstd
from offload.outputs import (
    Area,
    Baseline,
    Changes,
    OutputsError,
    Pack,
    PackError,
    What,
    collect,
    read,
)
from offload.outputs.packing import _read_small
from offload.outputs.states import observe
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.tree import Entry, Kind


def tree_of(folder: Path) -> list[Entry]:
    """The manifest of a folder, by plain means."""
    entries = []
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder))
        mode = path.lstat().st_mode & 0o777
        state = observe(os.fsencode(path))
        if path.is_symlink():
            target = os.fsencode(path.readlink())
            entries.append(Entry(name, Kind.LINK, 0o777, target=target))
        elif path.is_dir():
            entries.append(Entry(name, Kind.FOLDER, mode))
        else:
            entries.append(Entry(name, Kind.FILE, mode, state.size, state.content))
    return entries


def copies_of(folder: Path) -> dict[bytes, Fingerprint]:
    """Fingerprints that are older than whatever is written next."""
    found = {
        os.fsencode(path.relative_to(folder)): Fingerprint.of(path.lstat())
        for path in folder.rglob("*")
    }
    probe = folder.parent / "probe"
    newest = max(one.ctime_ns for one in found.values())
    probe.touch()
    while probe.stat().st_ctime_ns <= newest:
        probe.touch()
    return found


class Job:
    """A working folder with a few frozen files, and its pod's folder."""

    def __init__(self, folder: Path) -> None:
        self.working = folder / "working"
        self.home = folder / "home"
        self.pod = folder / "pod"
        for one in (self.working, self.home, self.pod, self.working / "src"):
            one.mkdir()
        (self.working / "kept.txt").write_text("as it was")
        (self.working / "train.py").write_text("old text")
        (self.working / "src/lib.py").write_text("lib")
        (self.working / "link").symlink_to("kept.txt")
        self.baseline = Baseline.of(tree_of(self.working), copies_of(self.working))

    def collect(self, *globs: str, mountpoints: frozenset[bytes] = frozenset()) -> Pack:
        return collect(
            Area("/home/u/proj", self.working),
            self.baseline,
            self.pod,
            globs=globs,
            elsewhere=[Area("/home/u", self.home)],
            mountpoints=mountpoints,
        )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def summary(changes: Changes) -> dict[bytes, What]:
    return {one.path: one.what for one in changes.changes}


def members(pack: Pack) -> dict[str, bytes]:
    data = zstd.decompress(pack.path.read_bytes())
    with tarfile.open(fileobj=BytesIO(data), errors="surrogateescape") as tar:
        return {
            one.name: tar.extractfile(one).read() if one.isfile() else b""
            for one in tar
        }


def test_nothing_changed_is_an_empty_pack(job: Job) -> None:
    pack = job.collect()
    assert pack.changes.changes == ()
    assert list(members(pack)) == ["changes.json"]


def test_created_changed_deleted_and_mode(job: Job) -> None:
    (job.working / "new.txt").write_text("n")
    (job.working / "train.py").write_text("new text")
    (job.working / "src/lib.py").chmod(0o755)
    (job.working / "kept.txt").unlink()
    (job.working / "link").unlink()
    (job.working / "link").symlink_to("elsewhere")
    (job.working / "empty").mkdir()
    pack = job.collect()
    assert summary(pack.changes) == {
        b"empty": What.CREATED,
        b"kept.txt": What.DELETED,
        b"link": What.CHANGED,
        b"new.txt": What.CREATED,
        b"src/lib.py": What.CHANGED,
        b"train.py": What.CHANGED,
    }
    by_path = {one.path: one for one in pack.changes.changes}
    assert by_path[b"train.py"].frozen.size == len("old text")
    assert by_path[b"src/lib.py"].frozen.is_same_content(by_path[b"src/lib.py"].now)
    assert by_path[b"src/lib.py"].now.mode == 0o755
    assert by_path[b"link"].now.content == "elsewhere"
    assert by_path[b"kept.txt"].now is None
    assert members(pack)["working/new.txt"] == b"n"
    assert Changes.loads(members(pack)["changes.json"]) == pack.changes


def test_same_size_written_at_once_is_noticed(job: Job) -> None:
    (job.working / "train.py").write_text("old texT")
    assert summary(job.collect().changes) == {b"train.py": What.CHANGED}


def test_touched_and_rewritten_with_the_same_bytes_is_unchanged(job: Job) -> None:
    os.utime(job.working / "kept.txt")
    (job.working / "train.py").unlink()
    (job.working / "train.py").write_text("old text")
    assert job.collect().changes.changes == ()


def test_without_fingerprints_contents_are_compared(job: Job) -> None:
    entries = tree_of(job.working)
    (job.working / "train.py").write_text("new text")
    job.baseline = Baseline.of(entries)
    assert summary(job.collect().changes) == {b"train.py": What.CHANGED}


def test_copy_with_other_permissions_is_unchanged_until_the_job_changes_them(
    job: Job,
) -> None:
    entries = [
        one._replace(mode=0o444) if one.kind is Kind.FILE else one
        for one in tree_of(job.working)
    ]
    job.baseline = Baseline.of(entries, copies_of(job.working))
    os.utime(job.working / "kept.txt")
    (job.working / "train.py").chmod(0o700)
    (change,) = job.collect().changes.changes
    assert (change.path, change.frozen.mode, change.now.mode) == (
        b"train.py",
        0o444,
        0o700,
    )


def test_names_of_any_bytes(job: Job) -> None:
    names = [b"\xff\xfe", b"new\nline", "Zürich".encode(), b"x" * 200]
    for name in names:
        (job.working / os.fsdecode(name)).write_bytes(name)
    pack = job.collect()
    assert sorted(summary(pack.changes)) == sorted(names)
    found = {k.encode("utf-8", "surrogateescape"): v for k, v in members(pack).items()}
    for name in names:
        assert found[b"working/" + name] == name


def test_mount_points_bytecode_and_sockets_stay(job: Job) -> None:
    (job.working / ".venv/bin").mkdir(parents=True)
    (job.working / ".venv/bin/python").write_text("")
    (job.working / "src/__pycache__").mkdir()
    (job.working / "src/__pycache__/lib.pyc").write_text("")
    with socket.socket(socket.AF_UNIX) as one:
        with contextlib.chdir(job.working):  # paths of sockets are short
            one.bind("s")
        pack = job.collect("s", mountpoints=frozenset([b".venv"]))
    assert pack.changes.changes == ()
    assert [(one.path, one.why) for one in pack.changes.left_out] == [
        (b"/home/u/proj/s", "a socket, pipe or device")
    ]
    assert pack.changes.unmatched == ("s",)


def test_globs_here_and_elsewhere(job: Job) -> None:
    (job.working / "results/deep").mkdir(parents=True)
    (job.working / "results/deep/a.root").write_text("a")
    (job.working / "b.root").write_text("b")
    (job.home / "histos").mkdir()
    (job.home / "histos/c.root").write_text("c")
    (job.home / "other").write_text("not declared")
    (job.home / "proj").mkdir()
    pack = job.collect("results", "*.root", "/home/u/histos/*.root", "nothing/**")
    declared = {(c.area, c.path) for c in pack.changes.changes if c.declared}
    assert declared == {
        (b"/home/u/proj", b"results"),
        (b"/home/u/proj", b"results/deep"),
        (b"/home/u/proj", b"results/deep/a.root"),
        (b"/home/u/proj", b"b.root"),
        (b"/home/u", b"histos/c.root"),
    }
    assert pack.changes.unmatched == ("nothing/**",)
    assert members(pack)["elsewhere/home/u/histos/c.root"] == b"c"
    assert "elsewhere/home/u/other" not in members(pack)


def test_an_unchanged_declared_file_is_matched_but_does_not_travel(job: Job) -> None:
    pack = job.collect("kept.txt")
    assert pack.changes.unmatched == ()
    assert pack.changes.changes == ()


def test_collected_again_is_the_same_pack(job: Job) -> None:
    (job.working / "new").write_text("1")
    first = job.collect()
    (job.working / "later").write_text("2")
    assert job.collect() == first == read(job.pod)


def test_same_folders_give_the_same_bytes(job: Job, tmp_path: Path) -> None:
    (job.working / "new").write_text("1")
    (job.working / "big").write_bytes(os.urandom(3 << 20))
    first = job.collect("new")
    os.utime(job.working / "new", (1, 1))
    job.pod = tmp_path / "again"
    job.pod.mkdir()
    assert job.collect("new").digest == first.digest


def test_killed_while_packing_is_packed_again(job: Job) -> None:
    (job.working / "new").write_text("1")
    (job.pod / "outputs.tar.zst.new").write_text("half of it")
    (job.pod / "changes.json").write_text("{}")
    pack = job.collect()
    assert members(pack)["working/new"] == b"1"
    assert sorted(os.listdir(job.pod)) == ["changes.json", "outputs.tar.zst"]


def test_pack_changed_afterwards_is_refused(job: Job) -> None:
    job.collect().path.write_text("oh")
    with pytest.raises(PackError, match="changed after it was written"):
        read(job.pod)


def test_file_replaced_by_folder_and_folder_by_file(job: Job) -> None:
    (job.working / "kept.txt").unlink()
    (job.working / "kept.txt").mkdir()
    (job.working / "src/lib.py").unlink()
    (job.working / "src").rmdir()
    (job.working / "src").write_text("a file now")
    changes = job.collect().changes
    assert summary(changes) == {
        b"kept.txt": What.CHANGED,
        b"src": What.CHANGED,
        b"src/lib.py": What.DELETED,
    }


def test_file_that_grows_whenever_it_is_read_is_marked(job: Job) -> None:
    class Growing(FileIO):
        def read(self, size: int | None = -1) -> bytes:
            with (job.working / "kept.txt").open("ab") as file:
                file.write(b".")
            return super().read(size)

    with Growing(job.working / "kept.txt") as file:
        assert _read_small(file)[1]
    with FileIO(job.working / "kept.txt") as file:
        assert _read_small(file) == (b"as it was...", False)


def test_no_space_is_one_line_and_leaves_nothing(job: Job) -> None:
    (job.working / "big").write_bytes(os.urandom(4 << 20))
    (job.pod / "outputs.tar.zst.new").symlink_to("/dev/full")
    with pytest.raises(OutputsError, match="no space left"):
        job.collect()
    assert os.listdir(job.pod) == []
