"""A pack comes home, whatever ends in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from offload.outputs import OutputsError, PackError, fetch

DATA = os.urandom(1 << 20)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


class Site:
    """Serves ``DATA``, ending each download after some bytes."""

    def __init__(self, data: bytes = DATA, stop_after: int | None = None) -> None:
        self.data = data
        self.stop_after = stop_after
        self.offsets: list[int] = []

    async def download(self, offset: int) -> AsyncIterator[bytes]:
        self.offsets.append(offset)
        end = offset + self.stop_after if self.stop_after else len(self.data)
        for start in range(offset, min(end, len(self.data)), 1 << 16):
            yield self.data[start : min(start + (1 << 16), end)]


async def test_fetched_and_then_nothing_moves_any_more(tmp_path: Path) -> None:
    site, seen = Site(), []
    for _ in range(2):
        await fetch(
            site.download,
            tmp_path / "p",
            digest=DIGEST,
            size=len(DATA),
            progress=seen.append,
        )
    assert (tmp_path / "p").read_bytes() == DATA
    assert site.offsets == [0]
    assert seen[-1] == len(DATA)
    assert os.listdir(tmp_path) == ["p"]


async def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    site = Site(stop_after=400_000)
    for _ in range(2):
        with pytest.raises(OutputsError, match="goes on from there"):
            await fetch(site.download, tmp_path / "p", digest=DIGEST, size=len(DATA))
        assert not (tmp_path / "p").exists()
    await fetch(site.download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    assert (tmp_path / "p").read_bytes() == DATA
    assert site.offsets == [0, 400_000, 800_000]


@pytest.mark.parametrize("data", [bytes(len(DATA)), bytes(len(DATA) + 5), b""])
async def test_other_bytes_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(OutputsError):
        await fetch(Site(data).download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    assert not (tmp_path / "p").exists()
    await fetch(Site().download, tmp_path / "p", digest=DIGEST, size=len(DATA))


async def test_more_bytes_than_promised_are_not_taken(tmp_path: Path) -> None:
    site = Site(DATA + b"more")
    await fetch(site.download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    assert (tmp_path / "p").read_bytes() == DATA


async def test_wrong_bytes_on_the_disk_start_from_nothing(tmp_path: Path) -> None:
    part = tmp_path / f"p.{DIGEST[7:23]}.part"
    part.write_bytes(bytes(1000))
    with pytest.raises(PackError, match="fetched again"):
        await fetch(Site().download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    site = Site()
    await fetch(site.download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    assert site.offsets == [0]


async def test_part_of_another_pack_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "p.0123456789abcdef.part").write_bytes(b"of another")
    site = Site()
    await fetch(site.download, tmp_path / "p", digest=DIGEST, size=len(DATA))
    assert site.offsets == [0]
    assert os.listdir(tmp_path) == ["p"]


async def test_no_space_is_one_line(tmp_path: Path) -> None:
    (tmp_path / f"p.{DIGEST[7:23]}.part").symlink_to("/dev/full")
    with pytest.raises(OutputsError, match="no space left"):
        await fetch(Site().download, tmp_path / "p", digest=DIGEST, size=len(DATA))


VICTIM = """
import asyncio, sys
from pathlib import Path
from offload.outputs import fetch

async def download(offset):
    data = Path(sys.argv[1]).read_bytes()
    for start in range(offset, len(data) // 2, 1 << 16):
        yield data[start : start + (1 << 16)]
    print("half", flush=True)
    await asyncio.sleep(600)

size = Path(sys.argv[1]).stat().st_size
asyncio.run(fetch(download, Path(sys.argv[2]), digest=sys.argv[3], size=size))
"""


async def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "home").mkdir()
    target = tmp_path / "home/p"
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", VICTIM, str(tmp_path / "data"), str(target), DIGEST),
        stdout=asyncio.subprocess.PIPE,
    )
    assert await victim.stdout.readline() == b"half\n"
    victim.kill()
    await victim.communicate()
    site = Site()
    await fetch(site.download, target, digest=DIGEST, size=len(DATA))
    assert target.read_bytes() == DATA
    assert 0 < site.offsets[0] < len(DATA)
