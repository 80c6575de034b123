"""What is written is read again; archives of others are read, hard links are not."""

import io
import tarfile

import pytest

from offload.snapshot.errors import DamagedError, UnsafeLayerError
from offload.snapshot.layers.tar import END, Member, header, read_member
from offload.snapshot.tree import Kind


@pytest.mark.parametrize(
    "member",
    [
        Member(b"a", Kind.FILE, 0o644, 0, b""),
        Member(b"a/" + b"b" * 300, Kind.FOLDER, 0o755, 0, b""),
        Member(b"l\xff", Kind.LINK, 0o777, 0, b"t" * 300),
        Member(b"large", Kind.FILE, 0o600, 1 << 40, b""),
    ],
)
def test_what_is_written_is_read_again(member):
    data = header(member.path, member.kind, member.mode, member.size, member.target)
    stream = io.BytesIO(data + END)
    assert read_member(stream.read) == member


def archive(form: int, *members: tarfile.TarInfo) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as opened:
        for member in members:
            opened.addfile(member)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_any_maker_are_read(form):
    name = "/".join(["long" * 40] * 5)
    stream = archive(form, tarfile.TarInfo(name))
    assert read_member(stream.read).path == name.encode()
    assert read_member(stream.read) is None


def test_a_hard_link_is_none_of_ours():
    info = tarfile.TarInfo("a")
    info.type, info.linkname = tarfile.LNKTYPE, "b"
    with pytest.raises(UnsafeLayerError, match="got a hard link"):
        read_member(archive(tarfile.PAX_FORMAT, info).read)


def test_what_is_no_archive_is_damaged():
    with pytest.raises(DamagedError, match="no tar archive: a header has no number"):
        read_member(io.BytesIO(b"x" * 512).read)
