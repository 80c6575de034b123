"""Serves one image to the kernel (FUSE), until somebody unmounts it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from offload.cache.reading.ahead import Ahead
from offload.cache.reading.errors import AbsentError, MountError, ReadingError
from offload.cache.reading.paths import image_path
from offload.cache.reading.reader import Reader
from offload.cache.reading.view import View

SUBTYPE = "offload-cache"
"""Tells our mounts from others."""
_KEPT_S = 86400
"""What the kernel was told of an image it may believe as long as a job lasts."""
_SWITCH_S = 0.0005
"""A question of the kernel's does not wait longer for a thread that computes."""


def serve(
    reader: Reader,
    view: View,
    ahead: Ahead,
    image: str,
    where: Path,
    mounted: Callable[[], object],
) -> None:
    """Serve an image in this process until somebody unmounts it.

    Args:
        reader: gets what is read.
        view: of a revision that has the image.
        ahead: has some of it already.
        image: digest of its manifest.
        where: an empty folder.
        mounted: called once the kernel asks.

    Raises:
        AbsentError: the repository has no such image.
        MountError: that does not work here.
        CacheError: what the revision says of it, or some of what was read, could not
            be had.
    """
    path = image_path(image)
    root = view.find(path)
    fqrn = view.revision.fqrn
    if root is None:
        raise AbsentError(f"{image[:19]}: no image of {fqrn}")
    try:
        # Late: a machine may lack the library that these load.
        from offload.cache.reading.filesystem import ImageFilesystem, Mounted
    except (ImportError, OSError) as error:
        raise MountError(f"{where}: FUSE cannot be used: {error}") from None
    trace_path = reader.trace_path(image)
    operations = ImageFilesystem(
        view,
        path,
        root,
        reader.fetcher,
        reader.trace(image),
        trace_path,
        ahead,
        mounted,
    )
    sys.setswitchinterval(_SWITCH_S)
    try:
        Mounted(
            operations,
            str(where),
            foreground=True,
            ro=True,
            fsname=fqrn,
            subtype=SUBTYPE,
            kernel_cache=True,
            entry_timeout=_KEPT_S,
            attr_timeout=_KEPT_S,
            negative_timeout=_KEPT_S,
        )
    except RuntimeError as error:
        raise MountError(f"{where}: cannot be mounted (FUSE error {error})") from None
    if operations.problem:
        raise ReadingError(operations.problem)
