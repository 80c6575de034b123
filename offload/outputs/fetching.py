"""A pack comes home: resumed where it stopped, whole and verified or not there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from offload.outputs.errors import OutputsError, PackError
from offload.outputs.states import digest_of
from offload.outputs.writing import room

Download = Callable[[int], AsyncIterator[bytes]]
"""Gives the bytes of the pack from an offset on; it may end early or raise."""


async def fetch(
    download: Download,
    destination: Path,
    *,
    digest: str,
    size: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Bring a pack to ``destination``, atomically.

    What arrived stays beside it as ``NAME.DIGEST.part`` when the download fails or this
    process is killed; the next call goes on from there. Nothing happens if the pack is
    there already.

    Args:
        download: where from.
        destination: the file; its folder exists.
        digest: ``sha256:`` and hexadecimal, as the site's ETag says.
        size: bytes of the whole pack.
        progress: told the bytes that are here, after each block.

    Raises:
        PackError: other bytes came than promised; the next call starts from nothing.
        NoSpaceError: there is none.
        OutputsError: the site ended the download early.
    """
    if await asyncio.to_thread(_is_there, destination, digest, size):
        return
    part = _part(destination, digest)
    with room(
        destination.parent,
        f"{size} bytes of outputs",
        "the download goes on where it stopped",
    ):
        await _append(download, part, size, progress)
    got, found = await asyncio.to_thread(_digest, part)
    if found != size or got != digest:
        part.unlink()
        raise PackError(
            f"{destination.name}: expected {size} bytes with {digest}, got {found} "
            f"with {got}: it is fetched again"
        )
    await asyncio.to_thread(_keep, part, destination)


def _part(destination: Path, digest: str) -> Path:
    """Return the unfinished file of this very pack; those of others are removed."""
    mine = f"{destination.name}.{digest.removeprefix('sha256:')[:16]}.part"
    for other in destination.parent.glob(f"{destination.name}.*.part"):
        if other.name != mine:
            other.unlink(missing_ok=True)
    return destination.with_name(mine)


async def _append(
    download: Download,
    part: Path,
    size: int,
    progress: Callable[[int], None] | None,
) -> None:
    with part.open("ab") as file:
        here = file.tell()
        if here < size:
            async for block in download(here):
                wanted = block[: size - here]  # a site may send more than it promised
                await asyncio.to_thread(file.write, wanted)
                here += len(wanted)
                if progress is not None:
                    progress(here)
    if here < size:
        raise OutputsError(
            f"{part.name}: the site ended the download after {here} of {size} bytes: "
            "it goes on from there"
        )


def _is_there(path: Path, digest: str, size: int) -> bool:
    return path.exists() and _digest(path) == (digest, size)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest, size = digest_of(file)
    return f"sha256:{digest}", size


def _keep(part: Path, destination: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(destination)
    folder = os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
