"""An image at a folder, whole or lazily: whichever a job has what it needs of sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.choosing import KEPT, Choice, Way, choose
from offload.cache.reading.errors import AbsentError, MountError, ReadingError
from offload.cache.reading.estimating import situation
from offload.cache.reading.mounting import Mount, can_mount


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that can be used."""

    choice: Choice
    """Why so; what could not be mounted after all is there whole."""
    way: Way
    wait: Callable[[], object]
    """Returns once somebody else has taken it away."""


@contextmanager
def shown(cache: RepositoryCache, image: str, where: Path) -> Iterator[Shown]:
    """Show an image; at the end it is taken away again.

    Args:
        cache: has it, or gets it.
        image: digest of its manifest.
        where: nothing, an empty folder, or what a killed one has left there; becomes a
            mount, or a link to the tree.

    Raises:
        CacheError: it cannot be had, or there is something at that folder.
    """
    if where.is_symlink() and where.readlink().is_relative_to(cache.folder):
        where.unlink()  # of one that was killed
    if cache.has_image(image):
        choice = KEPT
    else:
        choice = choose(situation(cache, image, can_mount=can_mount()))
    if choice.way is Way.LAZY and (mount := _mounted(cache, image, where)):
        with mount:
            yield Shown(choice, Way.LAZY, mount.wait)
        return
    tree = cache.image(image)
    if tree is None:
        raise AbsentError(f"{image[:19]}: not in {cache.settings.fqrn} any more")
    try:
        if where.is_dir() and not where.is_symlink():
            where.rmdir()
        where.symlink_to(tree)
    except OSError as error:
        raise _occupied(where, error) from None
    try:
        yield Shown(choice, Way.WHOLE, Event().wait)
    finally:
        where.unlink(missing_ok=True)


def _mounted(cache: RepositoryCache, image: str, where: Path) -> Mount | None:
    try:
        where.mkdir(exist_ok=True)
        if any(where.iterdir()):
            raise ReadingError(f"{where}: expected an empty folder")
    except OSError as error:
        raise _occupied(where, error) from None
    try:
        return Mount(cache, image, where)
    except MountError:
        return None


def _occupied(where: Path, error: OSError) -> ReadingError:
    return ReadingError(
        f"{where}: expected nothing or an empty folder, got: {error.strerror}"
    )
