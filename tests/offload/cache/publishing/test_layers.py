"""Layers of any maker are read; what leads out of them is refused, in one line."""

import contextlib
import io
import os
import subprocess
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.publishing.errors import NoImageError, UnsafeImageError
from offload.cache.publishing.layers import LayerReader, Limits
from offload.snapshot.tree import Kind


def read(data: bytes, **options):
    reader = LayerReader(io.BytesIO(data), "abc", **options)
    return [(m, b"".join(reader.content())) for m in reader.members()]


def refused(data: bytes, **options) -> str:
    with pytest.raises((NoImageError, UnsafeImageError)) as caught:
        read(data, **options)
    line = str(caught.value)
    assert line.startswith("layer abc: ")
    assert line.isprintable()
    return line


@pytest.mark.parametrize("form", ["tar", "gzip", "zstd"])
def test_files_folders_and_links_of_each_compression(form, make_tar, archives):
    data = make_tar(
        ("bin/", None), ("bin/tool", b"#!/bin/sh\n"), ("bin/sh", "tool"), ("empty", b"")
    )
    found = {m.path: (m, c) for m, c in read(archives[form](data))}
    assert list(found) == [b"bin", b"bin/tool", b"bin/sh", b"empty", b""]
    tool, content = found[b"bin/tool"]
    assert (tool.kind, tool.size, tool.mtime) == (Kind.FILE, 10, 1_700_000_000)
    assert content == b"#!/bin/sh\n"
    assert found[b"bin"][0].mode == 0o755
    assert found[b"bin/sh"][0].target == b"tool"
    assert found[b""][0].is_implied


def test_several_members_of_gzip_are_one_archive(make_tar, archives):
    data = make_tar(("a", b"1" * 5000))
    packed = archives["gzip"](data[:700]) + archives["gzip"](data[700:])
    assert read(packed)[0][1] == b"1" * 5000


@pytest.mark.parametrize(
    "form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"]
)
def test_long_names_and_targets(form, make_tar):
    name = "/".join(["long" * 40] * 5)
    target = "../" * 100 + "x"
    found = read(make_tar((name, b"a"), ("link", target), form=form))
    assert found[0][0].path == name.encode()
    assert found[1][0].target == target.encode()


def test_what_gnu_tar_writes(tmp_path):
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").write_bytes(os.urandom(3_000_000))
    (top / "a/hard").hardlink_to(top / "a/b/file")
    (top / "a/caf\udce9").write_text("no UTF-8")
    (top / "a/b/file").chmod(0o4755)
    data = subprocess.run(
        ["tar", "-C", top, "-c", "."], check=True, capture_output=True
    ).stdout
    found = {m.path: (m, c) for m, c in read(data)}
    assert found.keys() == {
        b"", b"a", b"a/b", b"a/b/file", b"a/hard", b"a/caf\xe9"
    }  # fmt: skip
    files = [found[b"a/b/file"], found[b"a/hard"]]
    (first,) = [m for m, _ in files if m.same_as is None]
    (second,) = [m for m, _ in files if m.same_as is not None]
    assert second.same_as == first.path
    assert found[first.path][1] == (top / "a/b/file").read_bytes()
    assert first.mode == 0o755
    assert not found[b""][0].is_implied


def test_a_folder_may_come_after_what_is_in_it_and_again(make_tar):
    found = read(make_tar(("a/b", b"x"), ("a/", None), ("a/", None)))
    assert [(m.path, m.is_implied) for m, _ in found] == [
        (b"a/b", False),
        (b"a", False),
        (b"", True),
    ]


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ([("../a", b"")], "leads out of its folder"),
        ([("a/../../b", b"")], "leads out of its folder"),
        ([("/etc/passwd", b"")], "expected a relative path"),
        ([("a", "/etc"), ("a/passwd", b"")], "is a link"),
        ([("a", b""), ("a/passwd", b"")], "is a file"),
        ([("a", b""), ("a", b"")], "is there twice"),
        ([("a", b""), ("a/", None)], "is there twice"),
        ([("a", (tarfile.CHRTYPE, ""))], "a character device"),
        ([("a", (tarfile.BLKTYPE, ""))], "a block device"),
        ([("a", (tarfile.FIFOTYPE, ""))], "a pipe"),
        ([("a", (tarfile.LNKTYPE, "b"))], "no file of the layer so far"),
        ([("a", (tarfile.LNKTYPE, "/etc/passwd"))], "expected a relative path"),
        ([("a", (tarfile.LNKTYPE, "../b"))], "leads out"),
        ([("n" * 256, b"")], "too long"),
        ([("a/" * 2048, None)], "too long"),
        ([("a/" * 300, None)], "250 folders deep"),
        ([("a", (b"X", ""))], "a member of type b'X'"),
    ],
)
def test_what_leads_out_or_is_no_file_is_refused(members, part, make_tar):
    assert part in refused(make_tar(*members))


def test_a_nul_in_a_path_is_refused(make_tar):
    info = tarfile.TarInfo("x")
    info.pax_headers = {"path": "a\0b"}
    assert "NUL" in refused(make_tar(("x", info)))


@pytest.mark.parametrize(
    "data",
    [b"{}", b"\x1f\x8bno", b"\x28\xb5\x2f\xfdno", os.urandom(2000), b"<html>" * 200],
)
def test_what_is_no_archive_is_refused(data):
    refused(data)


@pytest.mark.parametrize("form", ["tar", "gzip", "zstd"])
def test_an_archive_that_ends_in_the_middle_is_refused(form, make_tar, archives):
    data = archives[form](make_tar(("a", os.urandom(100_000))))
    refused(data[: len(data) // 2])


def test_a_layer_that_unfolds_beyond_the_limits_is_refused(make_tar, archives):
    data = archives["zstd"](make_tar(("a", bytes(3_000_000))))
    assert len(data) < 10_000
    assert "more than 2,000,000 bytes" in refused(data, limits=Limits(bytes=2_000_000))
    many = make_tar(*((f"{n}", b"") for n in range(20)))
    assert "more than 10 paths" in refused(many, limits=Limits(members=10))


def test_a_large_file_is_read_in_little_memory(make_tar, archives, blob):
    packed = blob(archives["gzip"](make_tar(("a", bytes(100_000_000)))))
    tracemalloc.start()
    try:
        reader = LayerReader(packed, "abc")
        size = sum(len(p) for _ in reader.members() for p in reader.content())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        packed.close()
    assert size == 100_000_000
    assert peak < 8_000_000


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_any_bytes_are_read_or_refused(noise, where):
    base = io.BytesIO()
    with tarfile.open(fileobj=base, mode="w") as archive:
        info = tarfile.TarInfo("a/b")
        info.size = 600
        archive.addfile(info, io.BytesIO(bytes(600)))
    data = base.getvalue()[:3000]
    for bad in (noise, data[:where] + noise + data[where:]):
        with contextlib.suppress(NoImageError, UnsafeImageError):
            for member, _ in read(bad):
                assert b".." not in member.path.split(b"/")


def with_size(field: bytes, kind: bytes = b"0") -> bytes:
    """Return an archive whose only member has a size of its maker's choice."""
    block = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157] = field.ljust(12, b"\0"), kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(4096)


@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L"])
@pytest.mark.parametrize("field", [b"-1", b"-17", b"-1000", b"\xff" * 12])
def test_less_than_nothing_is_refused(field, kind):
    assert "a member of -" in refused(with_size(field, kind))


def test_extended_headers_of_one_member_are_bounded_together():
    info = tarfile.TarInfo("a")
    piles = [
        tarfile.TarInfo.create_pax_global_header({f"k{n}": "v" * 300_000})
        for n in range(5)
    ]
    piles = [b"".join((pile[:156], b"x", pile[157:])) for pile in piles]
    fixed = []
    for pile in piles:
        block = bytearray(pile[:512])
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        fixed.append(bytes(block) + pile[512:])
    data = b"".join(fixed) + info.tobuf() + bytes(1024)
    assert "extended header" in refused(data)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(("told", "mtime"), [(-5, 0), (1 << 62, (1 << 31) - 1)])
def test_times_are_those_that_every_file_system_has(told, mtime, form, make_tar):
    info = tarfile.TarInfo("a")
    info.mtime = told
    ((member, _), _) = read(make_tar(("a", info), form=form))
    assert member.mtime == mtime
