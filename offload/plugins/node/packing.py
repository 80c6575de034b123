"""Calls :mod:`offload.outputs` at the end of a pod, whatever the end was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from offload.plugins.node.fingerprints import recall
from offload.plugins.node.folder import PodFolder
from offload.plugins.node.layout import load_working_folder
from offload.plugins.node.pod import Pod
from offload.plugins.node.snapshots import digest_of


def pack_outputs(folder: PodFolder, pod: Pod) -> tuple[dict[str, Any] | None, str]:
    """Pack what the pod changed; return the pack's digest and size, and what failed.

    Never raises: a pod whose outputs cannot be packed has ended all the same, and
    says so.
    """
    working = load_working_folder(folder)
    if working is None or not working.path.exists():
        return None, ""
    # Compression and manifests: nothing of it is needed before this moment.
    from facility.errors import FacilityError
    from offload.outputs import Area, collect

    try:
        for point in working.inside:
            _remove_mark(working.path / point)
        pack = collect(
            Area(working.mount, working.path),
            _baseline(folder, pod),
            folder.path,
            globs=pod.output_globs,
            elsewhere=[Area(mount, path) for mount, path in working.elsewhere.items()],
            mountpoints=frozenset(os.fsencode(point) for point in working.inside),
        )
    except (FacilityError, OSError) as error:
        return None, f"the outputs could not be packed: {error}"
    return {"digest": pack.digest, "size": pack.size}, ""


def preload() -> None:
    """Import what packing needs, while there is nothing else to do.

    It takes a tenth of a second, which a short job's end need not wait for.
    """
    import offload.cache
    import offload.outputs  # noqa: F401


def _remove_mark(point: Path) -> None:
    """Remove what only marked a place to mount on, or led to it."""
    if point.is_symlink():
        point.unlink()


def _baseline(folder: PodFolder, pod: Pod) -> Any:
    from offload.cache import SiteCache
    from offload.outputs import Baseline
    from offload.snapshot.files.fingerprint import Fingerprint
    from offload.snapshot.images.image import read_image
    from offload.snapshot.images.manifests import read_trees

    copies = {
        os.fsencode(path): Fingerprint(*copy)
        for path, copy in recall(folder.fingerprints).items()
    }
    for volume in pod.volumes.values():
        image = digest_of((volume.get("image") or {}).get("reference", ""))
        if image is None:
            continue
        store = SiteCache(folder.work).store
        trees = read_trees(store, read_image(store, image))
        if "code" in trees:
            return Baseline.of(trees["code"].entries, copies)
    return Baseline({})
