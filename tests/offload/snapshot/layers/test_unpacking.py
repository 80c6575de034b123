"""Layers of somebody else: what would reach out of its folder is refused."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from offload import zstd
from offload.snapshot import DamagedError, UnsafeLayerError, entries, unpack


@pytest.fixture
def layer(tmp_path):
    """Make a layer of (name, type, content or target), as anybody's tar would."""

    def packed(*members, form=tarfile.PAX_FORMAT) -> Path:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
            for name, kind, *rest in members:
                info = tarfile.TarInfo(name)
                info.type = kind
                info.mode = 0o644 if kind == tarfile.REGTYPE else 0o755
                if kind == tarfile.REGTYPE:
                    content = rest[0] if rest else b""
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                    continue
                if rest:
                    info.linkname = rest[0]
                archive.addfile(info)
        path = tmp_path / "layer"
        path.write_bytes(zstd.compress(raw.getvalue()))
        return path

    return packed


FILE, FOLDER, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("../out", FILE, b"x")],
        [("a/../../out", FILE, b"x")],
        [("a/./b", FILE, b"x")],
        [("/out", FILE, b"x")],
        [("..", FOLDER)],
        [("a//b", FILE, b"x")],
        [("up", LINK, ".."), ("up/out", FILE, b"x")],
        [("up", LINK, "../outside"), ("up/out", FILE, b"x")],
        [("abs", LINK, "{outside}"), ("abs/out", FILE, b"x")],
        [("abs", LINK, "{outside}"), ("abs/sub", FOLDER)],
        [("abs", LINK, "{outside}"), ("abs/.wh.victim", FILE)],
        [("a/.wh...", FILE)],
        [("file", FILE, b"x"), ("file/below", FILE, b"x")],
        [("file", FILE, b"x"), ("hard", tarfile.LNKTYPE, "file")],
        [("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [("null", tarfile.CHRTYPE)],
        [("disk", tarfile.BLKTYPE)],
        [("pipe", tarfile.FIFOTYPE)],
    ],
    ids=str,
)
def test_unsafe_layers_are_refused(members, layer, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("still here")
    path = layer(
        *(
            (
                name,
                kind,
                *(r.format(outside=outside) if isinstance(r, str) else r for r in rest),
            )
            for name, kind, *rest in members
        )
    )
    with pytest.raises(UnsafeLayerError) as caught:
        unpack(path, tmp_path / "deep" / "inside")
    assert "\n" not in str(caught.value)
    assert [each.name for each in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "still here"
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "deep" / "out").exists()


def test_links_are_replaced_and_not_written_through(layer, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("still here")
    unpack(
        layer(
            ("link", LINK, str(victim)),
            ("link", FILE, b"file now"),
            ("folder", LINK, str(tmp_path)),
            ("folder", FOLDER),
            ("folder/victim", FILE, b"inside"),
        ),
        tmp_path / "inside",
    )
    assert victim.read_text() == "still here"
    assert (tmp_path / "inside/link").read_text() == "file now"
    assert (tmp_path / "inside/folder/victim").read_text() == "inside"


def test_links_of_the_folder_itself_are_not_followed(layer, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "sub").symlink_to(outside)
    with pytest.raises(UnsafeLayerError, match="sub"):
        unpack(layer(("sub/file", FILE, b"x")), inside)
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "form", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT], ids=["pax", "ustar"]
)
def test_archives_of_others_are_read(layer, tmp_path, form):
    long = "d" * 90 + "/" + "f" * 60
    target = long if form == tarfile.PAX_FORMAT else long[:91]
    path = layer((long, FILE, b"long"), ("link", LINK, target), form=form)
    unpack(path, tmp_path / "to")
    assert (tmp_path / "to" / long).read_bytes() == b"long"
    assert (tmp_path / "to/link").readlink() == Path(target)
    assert [each.path for each in entries(path)] == [long.encode(), b"link"]


def test_modes_are_set_and_set_id_bits_are_not(layer, tmp_path, monkeypatch):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, kind, mode in (
            ("closed", FOLDER, 0o500),
            ("closed/file", FILE, 0o4711),
            ("closed/sub", FOLDER, 0o2750),
            ("closed/sub/file", FILE, 0o600),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            archive.addfile(info)
    path = tmp_path / "layer"
    path.write_bytes(zstd.compress(raw.getvalue()))
    old = os.umask(0o077)
    try:
        # Twice: the second time into folders that are closed already.
        for _ in range(2):
            unpack(path, tmp_path / "to")
    finally:
        os.umask(old)
    modes = {
        str(each.relative_to(tmp_path / "to")): each.stat().st_mode & 0o7777
        for each in (tmp_path / "to").rglob("*")
    }
    assert modes == {
        "closed": 0o500,
        "closed/file": 0o711,
        "closed/sub": 0o750,
        "closed/sub/file": 0o600,
    }
    (tmp_path / "to/closed").chmod(0o700)  # so that it can be deleted


def test_another_layer_than_expected_is_refused(layer, tmp_path):
    path = layer(("file", FILE, b"x"))
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    unpack(path, tmp_path / "right", digest=digest)
    with pytest.raises(DamagedError, match="expected sha256:0000"):
        unpack(path, tmp_path / "wrong", digest="sha256:" + "0" * 64)


@pytest.mark.parametrize("keep", [0, 1, 20, -30, -1])
def test_a_layer_that_ends_early_is_refused(layer, tmp_path, keep):
    path = layer(("file", FILE, os.urandom(3000)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedError):
        unpack(path, tmp_path / "to")


@pytest.mark.parametrize("kind", [FILE, b"x"])
@pytest.mark.parametrize("size", [b"-1", b"-1000"])
def test_less_than_nothing_is_refused(tmp_path, size, kind):
    block = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157] = size.ljust(12, b"\0"), kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "layer"
    path.write_bytes(zstd.compress(bytes(block) + bytes(4096)))
    with pytest.raises(DamagedError, match="a member of -"):
        unpack(path, tmp_path / "to")


def test_garbage_is_refused(tmp_path):
    path = tmp_path / "layer"
    path.write_bytes(b"not a layer at all")
    with pytest.raises(DamagedError, match="no zstd archive"):
        unpack(path, tmp_path / "to")
    path.write_bytes(zstd.compress(b"not an archive" * 100))
    with pytest.raises(DamagedError):
        unpack(path, tmp_path / "to")


def test_no_descriptor_is_left(layer, tmp_path):
    path = layer(*((f"{i}/{i}/file", FILE, b"x") for i in range(30)), ("..", FOLDER))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(UnsafeLayerError):
        unpack(path, tmp_path / "to")
    assert len(os.listdir("/proc/self/fd")) == len(before)
