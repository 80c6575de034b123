"""A freeze of what stands still: what is in it, twice, changed, elsewhere."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from offload.snapshot import (
    Kind,
    LocalStore,
    MissingError,
    NoSpaceError,
    Request,
    SecretsFoundError,
    Snapshot,
    UnreadableError,
    blobs,
    changes_since,
    difference,
    freeze,
    load,
    manifest,
    scan,
    verify,
)
from offload.snapshot.errors import SelectionError


def test_layers_hold_what_the_folder_held(tree, store, tmp_path, restore):
    snapshot = freeze(Request(tree), store)
    again = restore(snapshot, store, tmp_path / "again")
    assert scan(again) == scan(tree) == manifest(snapshot, store, "code")
    assert verify(snapshot, store) == []


def test_gnu_tar_unpacks_what_the_folder_held(tree, store, tmp_path):
    snapshot = freeze(Request(tree), store)
    for layer in snapshot.part("code").layers:
        subprocess.run(
            ["tar", "-I", "zstd", "-xf", store.blob_path(layer), "-C", tmp_path],
            check=True,
            capture_output=True,
        )
    assert scan(tmp_path / "code") == scan(tree)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_gnu_tar_unpacks_long_and_odd_names(store, tmp_path, locale, make):
    root = tmp_path / "root"
    long = b"/".join([b"x" * 90, b"\xff\xfe" * 40, "é".encode() * 60, b"new\nline"])
    make(root, {long: b"1", b"\xff": b"2", b"link": b"-> " + b"t\xfe" * 80})
    snapshot = freeze(Request(root), store)
    for layer in snapshot.part("code").layers:
        subprocess.run(
            ["tar", "-I", "zstd", "-xf", store.blob_path(layer), "-C", tmp_path],
            check=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": locale},
        )
    assert scan(tmp_path / "code") == scan(root)


def test_nothing_changed_is_the_same_snapshot(tree, store):
    first = freeze(Request(tree), store)
    known = set(store.digests())
    assert freeze(Request(tree), store) == first
    assert set(store.digests()) == known


def test_a_change_is_one_small_layer_more(tree, store, tmp_path, make, restore):
    make(tree, {b"large": os.urandom(3_000_000)})
    first = freeze(Request(tree), store)
    known = set(store.digests())
    make(tree, {b"code.py": b"print(2)", b"folder": None, b"new/file": b"new"})
    second = freeze(Request(tree), store)
    assert second.id != first.id
    assert second.part("code").layers[:-1] == first.part("code").layers
    moved = [b.size for b in blobs(second, store) if b.digest not in known]
    assert sum(moved) < 10_000
    assert scan(restore(second, store, tmp_path / "2")) == scan(tree)
    # The first is what it was.
    assert verify(first, store) == verify(second, store) == []


def test_every_kind_becomes_every_other(store, tmp_path, make, restore):
    root = tmp_path / "root"
    kinds = {"file": b"text", "link": b"-> target", "folder": {b"inner": b"deep"}}
    names = {f"{old}-{new}": (old, new) for old in kinds for new in [*kinds, "gone"]}

    def lay(which: int) -> None:
        for name, pair in names.items():
            path, kind = name.encode(), pair[which]
            make(root, {path: None})
            if kind == "folder":
                make(root, {path + b"/" + n: c for n, c in kinds["folder"].items()})
            elif kind != "gone":
                make(root, {path: kinds[kind]})

    lay(0)
    freeze(Request(root), store)
    lay(1)
    snapshot = freeze(Request(root), store)
    assert scan(restore(snapshot, store, tmp_path / "again")) == scan(root)
    assert verify(snapshot, store) == []


def test_a_long_history_is_cut_again(store, tmp_path, make, restore):
    root = tmp_path / "root"
    make(root, {b"still": b"here"})
    longest = 0
    for number in range(70):
        make(root, {b"%d" % (number % 7): b"%d" % number})
        snapshot = freeze(Request(root), store)
        longest = max(longest, len(snapshot.part("code").layers))
    assert 10 < longest < 119
    assert len(load(snapshot.image, store).part("code").layers) <= longest
    assert scan(restore(snapshot, store, tmp_path / "again")) == scan(root)


def test_dead_bytes_are_cut_away(store, tmp_path, make):
    root = tmp_path / "root"
    for _ in range(4):
        make(root, {b"large": os.urandom(12 << 20)})
        snapshot = freeze(Request(root), store)
    part = snapshot.part("code")
    assert part.packed <= 3 * part.size
    assert verify(snapshot, store) == []


def test_identity_is_the_same_elsewhere_and_later(tree, store, tmp_path):
    other = tmp_path / "somewhere" / "else"
    other.parent.mkdir()
    subprocess.run(["cp", "-r", "--preserve=mode,links", tree, other], check=True)
    for path in other.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    there = LocalStore(tmp_path / "other store")
    mine, theirs = freeze(Request(tree), store), freeze(Request(other), there)
    assert mine.id == theirs.id
    assert mine.part("code").layers == theirs.part("code").layers


def test_a_touched_file_moves_nothing(tree, store):
    first = freeze(Request(tree), store)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert freeze(Request(tree), store) == first


def test_what_does_not_travel_is_reported(store, tmp_path, monkeypatch, make):
    root = tmp_path / "root"
    make(root, {b"file": b"", b"out": b"-> /etc/passwd", b".wh.x": b"odd"})
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        snapshot = freeze(Request(root), store)
    tree = manifest(snapshot, store, "code")
    assert [entry.path for entry in tree.entries] == [b"file", b"out"]
    for name in ("pipe", "socket", ".wh.x", "out"):
        assert any(warning.startswith(f"{name}: ") for warning in snapshot.warnings)


def test_inputs_are_parts(tree, store, tmp_path, make, restore):
    data = tmp_path / "data"
    make(data, {b"a.root": b"events", b"sub/b.root": b"more"})
    (tmp_path / "link.root").symlink_to(data / "a.root")
    request = Request(tree, inputs=(data, tmp_path / "link.root"))
    snapshot = freeze(request, store)
    folder, file = snapshot.part("inputs/0"), snapshot.part("inputs/1")
    assert (folder.mount, folder.path_in_image) == (str(data), "inputs/0")
    assert file.mount == str(tmp_path / "link.root")
    assert file.path_in_image == "inputs/1/a.root"
    assert scan(restore(snapshot, store, tmp_path / "r", "inputs/0")) == scan(data)
    assert verify(snapshot, store) == []


def test_large_files_are_streamed(store, tmp_path, make, restore):
    root = tmp_path / "root"
    make(root, {b"a": b"1", b"large": os.urandom(9 << 20), b"z": b"2"})
    snapshot = freeze(Request(root), store)
    with (root / "large").open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"other")
    second = freeze(Request(root), store)
    assert scan(restore(second, store, tmp_path / "again")) == scan(root)
    assert difference(
        manifest(snapshot, store, "code"), manifest(second, store, "code")
    ).changed == (b"large",)


def test_sparse_files_stay_sparse(store, tmp_path, restore):
    root = tmp_path / "root"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        file.write(b"head")
        file.truncate(50 << 20)
    snapshot = freeze(Request(root), store)
    again = restore(snapshot, store, tmp_path / "again")
    assert (again / "sparse").stat().st_blocks * 512 < 1 << 20
    assert scan(again) == scan(root)


def test_changes_since(tree, store, make):
    snapshot = freeze(Request(tree), store)
    assert changes_since(snapshot, store).is_empty
    make(tree, {b"new": b"", b"code.py": b"other", b"link": None})
    changes = changes_since(snapshot, store)
    assert changes.added == (b"new",)
    assert changes.changed == (b"code.py",)
    assert changes.removed == (b"link",)


def test_record_survives_json(tree, store):
    snapshot = freeze(Request(tree), store)
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert load(snapshot.image, store) == snapshot


def test_blobs_begin_with_the_manifest(tree, store):
    snapshot = freeze(Request(tree), store)
    first, *others = blobs(snapshot, store)
    assert first.digest == snapshot.image
    assert {blob.digest for blob in others} >= set(snapshot.part("code").layers)
    assert all(store.blob(blob.digest) == blob for blob in (first, *others))


def test_unknown_image_and_part_are_one_line(tree, store):
    with pytest.raises(MissingError, match="got nothing"):
        load("sha256:" + "0" * 64, store)
    with pytest.raises(MissingError, match="one of the parts code, got env"):
        manifest(freeze(Request(tree), store), store, "env")


def test_missing_input_is_one_line(tree, store):
    with pytest.raises(SelectionError, match="expected an input file or folder"):
        freeze(Request(tree, inputs=(Path("/no/such"),)), store)


def test_too_many_inputs_are_one_line(tree, store):
    with pytest.raises(SelectionError, match="name the folder"):
        freeze(Request(tree, inputs=(tree / "code.py",) * 130), store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_one_line(tree, store):
    (tree / "code.py").chmod(0)
    with pytest.raises(UnreadableError, match="code.py: cannot be read") as caught:
        freeze(Request(tree), store)
    assert "\n" not in str(caught.value)
    assert store.images() == ()


def test_secrets_are_refused_and_allowed(tree, store, make):
    key = "AKIA" + "Q3EGRNBTVHYXW2ZK"
    make(tree, {b"sub/keys.py": f"# 1\nkey = '{key}'\n".encode()})
    for _ in range(2):
        with pytest.raises(SecretsFoundError) as caught:
            freeze(Request(tree), store)
        (finding,) = caught.value.findings
        assert (finding.path, finding.line) == (b"sub/keys.py", 2)
        assert key not in str(caught.value)
        assert list(store.digests()) == []  # nor is it kept in a layer
    assert store.images() == ()
    allowed = freeze(Request(tree, allow=("sub/keys.py",)), store)
    with pytest.raises(SecretsFoundError):
        freeze(Request(tree), store)
    assert verify(allowed, store) == []  # what another image needs stays
    make(tree, {b"sub/keys.py": None})
    freeze(Request(tree), store)


def test_full_disk_is_one_line_and_leaves_nothing(tree, store, file_size_limit, make):
    make(tree, {b"large": os.urandom(3 << 20)})
    with (
        file_size_limit(1 << 20),
        pytest.raises(NoSpaceError, match="no space") as caught,
    ):
        freeze(Request(tree), store)
    assert "\n" not in str(caught.value)
    assert store.images() == ()
    assert not list((store.path / "drafts").iterdir())
    assert verify(freeze(Request(tree), store), store) == []


def test_kinds_are_told(tree, store):
    entries = manifest(freeze(Request(tree), store), store, "code").by_path
    assert entries[b"code.py"].kind is Kind.FILE
    assert entries[b"folder"].kind is Kind.FOLDER
    assert entries[b"link"].target == b"code.py"
