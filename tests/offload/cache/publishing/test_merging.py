"""A merged tree is what unpacking the layers one on the other leaves."""

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.cvmfs.merging import merge
from offload.cache.cvmfs.rows import Row
from offload.cache.publishing.layers import LayerReader
from offload.snapshot.tree import Kind

OPAQUE = ".wh..wh..opq"


def layer(data: bytes) -> tuple[list[tuple[bytes, Row]], set[bytes]]:
    reader = LayerReader(io.BytesIO(data), "x")
    rows, implied = {}, set()
    for member in reader.members():
        content = b"".join(reader.content())
        name = member.path.rpartition(b"/")[2]
        # The content itself stands for its object.
        rows[member.path] = Row(
            name, member.kind, member.mode, 0, 0, content, member.target
        )
        if member.is_implied:
            implied.add(member.path)
    return [(path, rows[path]) for path in sorted(rows) if path], implied


def merged(*layers: bytes) -> dict[str, object]:
    read = [layer(data) for data in layers]
    rows = merge([rows for rows, _ in read], [implied for _, implied in read])
    found: dict[str, object] = {}
    for path, row in rows.items():
        is_folder = row.kind is Kind.FOLDER
        what = row.mode if is_folder else (row.kind, row.digest or row.target)
        found[path.decode()] = what
    return found


def unpacked(*layers: bytes) -> dict[str, object]:
    """Do it for real: delete what is marked, then extract the rest on top."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        for data in layers:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                # Links are made as they are; Pythons of 2023 have no `filter=`.
                archive.extraction_filter = lambda member, _: member
                members = archive.getmembers()
                marks = [m for m in members if Path(m.name).name.startswith(".wh.")]
                for mark in marks:
                    # What would go through a link is not there.
                    folder = top / Path(mark.name).parent
                    if any(p.is_symlink() for p in (folder, *folder.parents)):
                        continue
                    hidden = Path(mark.name).name.removeprefix(".wh.")
                    if Path(mark.name).name == OPAQUE:
                        for inner in folder.iterdir() if folder.is_dir() else ():
                            _remove(inner)
                    else:
                        _remove(folder / hidden)
                for member in members:
                    if member in marks:
                        continue
                    place = top / member.name
                    is_kept = member.isdir() and place.is_dir()
                    if not (is_kept and not place.is_symlink()):
                        _remove(place)
                    archive.extract(member, top)
        return {str(p.relative_to(top)): _what(p) for p in top.rglob("*")}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _what(path: Path) -> object:
    if path.is_symlink():
        return Kind.LINK, os.fsencode(path.readlink())
    if path.is_dir():
        return path.stat().st_mode & 0o777
    return Kind.FILE, path.read_bytes()


names = st.sampled_from(["a", "b", "c", "a.b"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
content = st.sampled_from([b"one", b"two"]) | st.sampled_from(["a", "x/y"])


@st.composite
def members(draw) -> dict[str, object]:
    """Draw a layer; its folders are among its members, as tools write them."""
    wanted = draw(st.dictionaries(paths, content, max_size=5))
    folders: dict[str, None] = {}
    for path in [*wanted, *draw(st.lists(paths, max_size=2))]:
        parts = path.split("/")
        for end in range(1, len(parts)):
            folders["/".join(parts[:end])] = None
    files = {path: what for path, what in wanted.items() if path not in folders}
    # Nothing lies below a file.
    for path in list(folders):
        assert path not in files
    marks = set()
    for path in draw(st.lists(paths, max_size=3)):
        folder, slash, name = path.rpartition("/")
        if folder in {"", *folders}:
            marks.add(f"{folder}{slash}.wh.{name}")
    for folder in draw(st.lists(st.sampled_from(["", *folders]), max_size=1)):
        marks.add(f"{folder}/{OPAQUE}".lstrip("/"))
    modes = {path: draw(st.sampled_from([0o755, 0o750])) for path in sorted(folders)}
    rest = {**files, **dict.fromkeys(sorted(marks), b"")}
    order = draw(st.permutations(list(rest)))
    return {**modes, **{path: rest[path] for path in order}}


def archive_of(members: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, what in members.items():
            info = tarfile.TarInfo(path)
            if isinstance(what, int):
                info.type, info.mode = tarfile.DIRTYPE, what
                archive.addfile(info)
            elif isinstance(what, str):
                info.type, info.linkname = tarfile.SYMTYPE, what
                archive.addfile(info)
            else:
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.lists(members(), min_size=1, max_size=4))
def test_the_tree_is_what_unpacking_leaves(drawn):
    layers = [archive_of(each) for each in drawn]
    assert merged(*layers) == unpacked(*layers)


def test_a_folder_that_no_layer_has_keeps_its_mode(make_tar):
    info = tarfile.TarInfo("a")
    info.type, info.mode = tarfile.DIRTYPE, 0o700
    assert merged(make_tar(("a", info)), make_tar(("a/b", b"x"))) == {
        "a": 0o700,
        "a/b": (Kind.FILE, b"x"),
    }


@pytest.mark.parametrize("below", ["/etc", b"a file"])
def test_what_would_go_through_a_link_of_a_lower_layer_is_refused(below, make_tar):
    with pytest.raises(RefusedItemError, match=r"'a'.*in a lower one"):
        merged(make_tar(("a", below)), make_tar(("a/passwd", b"mine")))


def test_a_folder_takes_the_place_of_a_link(make_tar):
    upper = make_tar(("bin/", None), ("bin/tool", b"x"))
    assert merged(make_tar(("bin", "usr/bin")), upper) == {
        "bin": 0o755,
        "bin/tool": (Kind.FILE, b"x"),
    }


def test_deep_folders_are_taken_away(make_tar):
    deep = "a/" * 200 + "x"
    assert merged(make_tar((deep, b"")), make_tar((".wh.a", b""))) == {}
