"""A pack lands whole, inside, and once."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload import zstd
from offload.outputs import (
    Area,
    Baseline,
    Change,
    Changes,
    InTheWayError,
    OutputsError,
    Pack,
    PackError,
    State,
    What,
    collect,
    land,
    landing,
)
from offload.outputs.errors import TooLargeError

WORKING = b"/home/u/proj"


def packed(folder: Path, hole: int) -> Pack:
    working, pod = folder / "working", folder / "pod"
    working.mkdir()
    pod.mkdir()
    (working / "closed").mkdir()
    (working / "closed/a").write_text("1")
    (working / "sparse").touch()
    os.truncate(working / "sparse", hole)
    (working / "run").write_text("#!")
    (working / "run").chmod(0o755)
    (working / "link").symlink_to("/somewhere")
    (working / os.fsdecode(b"\xff\n")).write_text("odd")
    (working / "closed").chmod(0o500)
    return collect(Area("/home/u/proj", working), Baseline({}), pod)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return packed(tmp_path, 32 << 20)


@pytest.fixture
def small_pack(tmp_path: Path) -> Pack:
    return packed(tmp_path, 600)


def test_landed_as_it_was(pack: Pack, tmp_path: Path) -> None:
    landed = land(pack.path, tmp_path / "jobs/42")
    outputs = tmp_path / "jobs/42/outputs"
    assert landed.changes == pack.changes
    assert (outputs / "closed/a").read_text() == "1"
    assert (outputs / "run").stat().st_mode & 0o777 == 0o755
    assert (outputs / "link").readlink() == Path("/somewhere")
    assert (outputs / os.fsdecode(b"\xff\n")).read_text() == "odd"
    assert (outputs / "sparse").stat().st_size == 32 << 20
    assert (outputs / "sparse").stat().st_blocks * 512 < 1 << 20
    assert sorted(os.listdir(tmp_path / "jobs/42")) == ["landed.json", "outputs"]


def test_more_than_may_come_is_left_in_its_pack(pack: Pack, tmp_path: Path) -> None:
    folder = tmp_path / "42"
    before = pack.path.read_bytes()
    with pytest.raises(TooLargeError):
        land(pack.path, folder, most_bytes=32 << 20)
    assert list(folder.iterdir()) == []
    assert pack.path.read_bytes() == before
    land(pack.path, folder, most_bytes=33 << 20)


def test_landed_once_nothing_is_touched(pack: Pack, tmp_path: Path) -> None:
    land(pack.path, tmp_path / "42")
    (tmp_path / "42/outputs/run").write_text("mine")
    land(pack.path, tmp_path / "42")
    assert (tmp_path / "42/outputs/run").read_text() == "mine"


class KilledError(BaseException):
    """Nothing that comes after has an effect."""


def test_killed_before_every_step_it_lands_the_same(
    small_pack: Pack, tmp_path: Path
) -> None:
    for at in range(100):
        left, folder = at, tmp_path / str(at)
        effects = [(Path, "mkdir"), (Path, "replace"), (Path, "rmdir")]
        effects += [(landing, "copy"), (landing, "synchronise"), (Path, "symlink_to")]
        with contextlib.ExitStack() as stack:
            for owner, name in effects:
                real = getattr(owner, name)

                def counted(*args: Any, real: Any = real, **options: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise KilledError
                    return real(*args, **options)

                stack.enter_context(mock.patch.object(owner, name, counted))
            stack.enter_context(contextlib.suppress(KilledError))
            land(small_pack.path, folder)
        land(small_pack.path, folder)
        assert sorted(os.listdir(folder)) == ["landed.json", "outputs"]
        assert (folder / "outputs/run").read_text() == "#!"
        assert len(os.listdir(folder / "outputs")) == 5
        if left >= 0:
            return
    pytest.fail("landing five files has no 100 steps")


def test_something_in_the_way_is_said_and_kept(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "42/outputs").mkdir(parents=True)
    (tmp_path / "42/outputs/mine").write_text("mine")
    for _ in range(2):
        with pytest.raises(InTheWayError, match="move it away"):
            land(pack.path, tmp_path / "42")
    (tmp_path / "42/outputs").rename(tmp_path / "away")
    land(pack.path, tmp_path / "42")
    assert (tmp_path / "42/outputs/run").exists()


def test_damaged_packs_are_refused(pack: Pack, tmp_path: Path) -> None:
    whole = pack.path.read_bytes()
    for name, data in {
        "cut": whole[: len(whole) // 2],
        "garbage": b"not a pack",
        "flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PackError):
            land(tmp_path / name, tmp_path / f"jobs-{name}")
        assert not (tmp_path / f"jobs-{name}/outputs").exists()


def forged(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write a pack as no honest site would; its changes.json fits it."""
    changes = []
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o644
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(text.encode()))
            now = State.link(text.encode())
            rest = name.removeprefix("working/").encode()
            changes.append(Change(WORKING, rest, What.CREATED, None, now, True))
        data = Changes(WORKING, tuple(changes)).dumps()
        last = tarfile.TarInfo("changes.json")
        last.size = len(data)
        tar.addfile(last, io.BytesIO(data))
    path.write_bytes(zstd.compress(raw.getvalue()))
    return path


@pytest.mark.parametrize(
    "members",
    [
        [("working/../../x", tarfile.REGTYPE, "evil")],
        [("/etc/x", tarfile.REGTYPE, "evil")],
        [("other/x", tarfile.REGTYPE, "evil")],
        [("working", tarfile.SYMTYPE, "/tmp")],
        [("working/a", tarfile.SYMTYPE, ".."), ("working/a/x", tarfile.REGTYPE, "e")],
        [("working/a", tarfile.REGTYPE, "1"), ("working/a", tarfile.REGTYPE, "2")],
        [("working/a", tarfile.SYMTYPE, "."), ("working/a", tarfile.DIRTYPE, "")],
        [("working/a", tarfile.LNKTYPE, "/etc/passwd")],
        [("working/a", tarfile.CHRTYPE, "")],
        [("working/a", tarfile.FIFOTYPE, "")],
    ],
)
def test_nothing_leaves_the_folder(
    members: list[tuple[str, bytes, str]], tmp_path: Path
) -> None:
    pack = forged(tmp_path / "pack", *members)
    with pytest.raises(PackError):
        land(pack, tmp_path / "jobs/42")
    assert not (tmp_path / "jobs/42/outputs").exists()
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "jobs/x").exists()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_whatever_a_pack_holds_it_lands_or_is_refused_in_one_line(
    data: st.DataObject, small_pack: Pack
) -> None:
    raw = bytearray(zstd.decompress(small_pack.path.read_bytes()).rstrip(b"\0"))
    head = min(len(raw), 8192)
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, head - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder, mock.patch.object(landing, "synchronise"):
        odd = Path(folder) / "pack"
        odd.write_bytes(zstd.compress(bytes(raw) + bytes(1024)))
        with contextlib.suppress(OutputsError):
            land(odd, Path(folder) / "42")
        assert sorted(os.listdir(folder)) == ["42", "pack"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_no_header_takes_all_memory(tmp_path: Path, kind: bytes) -> None:
    """A megabyte of a pack may be a gigabyte of header: it is not even read."""
    info = tarfile.TarInfo("working/a")
    info.type, info.size = kind, 1 << 40
    path = tmp_path / "pack"
    with zstd.ZstdFile(path, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(PackError, match="header"):
        land(path, tmp_path / "42")


def test_changes_nested_without_end_are_no_changes() -> None:
    with pytest.raises(PackError, match="not JSON"):
        Changes.loads(b"[" * 10**6)
