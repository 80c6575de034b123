"""Where the parts of a snapshot lie on this site: read-only trees per role."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.plugins.node.folder import PodError, check_inside, read_json
from offload.plugins.node.published import Published

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SnapshotTrees:
    """The trees of one snapshot, by role (``code``, ``env``, ``inputs/0`` ...)."""

    image: str
    trees: Mapping[str, Path]

    def place(self, sub_path: str) -> Path:
        """Return what a mount of the snapshot with this ``subPath`` shows.

        Raises:
            PodError: the snapshot has no such part, or a link leads out of it.
        """
        for role in sorted(self.trees, key=len, reverse=True):
            if sub_path == role:
                return self.trees[role]
            if sub_path.startswith(f"{role}/"):
                place = self.trees[role] / sub_path[len(role) + 1 :]
                check_inside(place, self.trees[role])
                return place
        raise PodError(
            f"subPath {sub_path!r}: expected a part of the snapshot, one of "
            f"{', '.join(sorted(self.trees))}"
        )


def digest_of(reference: str) -> str | None:
    """Return the image's digest, ``sha256:HEX``, of a reference to a snapshot.

    ``None`` for any other image.
    """
    name, at, digest = reference.partition("@")
    if name.partition(":")[0] != "analysis-facility/snapshot" or not at:
        return None
    # It becomes the name of a file.
    return digest if _DIGEST.fullmatch(digest) else None


def _leads_somewhere(document: object) -> bool:
    match document:
        case {"outside": list(folders)}:
            return all(map(os.path.isdir, folders))
    return document is not None


def snapshot_trees(
    work: Path, image: str, mount: str = "", published: Published | None = None
) -> SnapshotTrees:
    """Return the trees of a snapshot; unpack what nobody has yet.

    Args:
        work: the site's work area.
        image: digest of the snapshot's.
        mount: where a repository of published environments is, if anywhere.
        published: has what is not here yet and such a repository has.

    Raises:
        PodError: its blobs are not here.
    """
    path = work / "images" / f"{image.removeprefix('sha256:')}.json"
    ready = read_json(path)
    # Trees may lead into a repository, which may have lost what they lead to.
    if not _leads_somewhere(ready):
        # Unpacking is for the first job of a snapshot: its imports are not for all.
        from offload.cache import CacheError, MissingBlobsError, SiteCache

        try:
            cache = SiteCache(work, mount=Path(mount) if mount else None)
            try:
                cache.ensure_image(image)
            except MissingBlobsError:
                if published is None:
                    raise
                trees = published.trees(cache, image)
                if trees is not None:
                    return SnapshotTrees(image, trees)
        except CacheError as error:
            lost = f" (is {mount} mounted on this node?)" if mount else ""
            raise PodError(f"snapshot {image[:19]}: {error}{lost}") from None
        ready = read_json(path)
    match ready:
        case {"parts": list(parts)}:
            return SnapshotTrees(
                image,
                {part["role"]: work / "trees" / part["tree"] for part in parts},
            )
        case _:
            raise PodError(f"snapshot {image[:19]}: its trees are not described")
