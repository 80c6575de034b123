"""A pod's folder on a node's own disk, which everybody may write to."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from offload.plugins.node.copying import remove_tree
from offload.plugins.node.folder import PodError, PodFolder

MOUNTED = ".mounted"
"""Folder in it with what the pod's wrappers have mounted. No container is called so."""
TREES = ".trees"
"""Folder in it with trees whose links lead there."""


def make_own(scratch: Path) -> None:
    """Make a pod's folder on a node's disk, which everybody may write to.

    Raises:
        PodError: somebody else has made it before.
        OSError: it cannot be made.
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = scratch.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PodError(f"{scratch}: expected a folder of the job's own: remove it")
    scratch.chmod(0o700)


def remove(scratch: Path) -> None:
    """Remove a pod's folder, with what its wrappers have left mounted there."""
    _unmount(scratch)
    remove_tree(scratch)


def remove_leftovers(scratch: Path, folder: PodFolder) -> None:
    """Remove those of other pods that were killed on this node, with their wrapper.

    Args:
        scratch: of a pod.
        folder: of that pod.
    """
    area, _, _ = scratch.name.rpartition(folder.path.name)
    for path in scratch.parent.glob(f"{area}*"):
        other = PodFolder(folder.path.with_name(path.name[len(area) :]))
        if other.done.exists() or not other.path.exists():
            with suppress(OSError):
                remove(path)


def _unmount(scratch: Path) -> None:
    """Take away what a killed wrapper of a pod has left mounted on this node."""
    with suppress(FileNotFoundError):
        for name in os.listdir(scratch / MOUNTED):  # noqa: PTH208 -- some may be dead
            from offload.cache.reading.mounting import unmount

            unmount(scratch / MOUNTED / name)
