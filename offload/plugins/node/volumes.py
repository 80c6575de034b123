"""The pod's volumes, put in place once, below ``volumes/``.

They live as long as the pod: a job that the scheduler put back into its queue finds
what it had written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from offload.plugins.node import downward, fingerprints
from offload.plugins.node.copying import copy_tree, remove_tree
from offload.plugins.node.folder import PodError, PodFolder, check_inside
from offload.plugins.node.pod import Json, Pod, VolumeMount
from offload.plugins.node.published import Published
from offload.plugins.node.snapshots import SnapshotTrees, digest_of, snapshot_trees

_SECRET_MODE, _MODE = 0o400, 0o644
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Volumes:
    """Where each volume lies on this machine."""

    private: Mapping[str, Path] = field(default_factory=dict)
    """The pod's own folders."""
    snapshots: Mapping[str, SnapshotTrees] = field(default_factory=dict)
    """Image volumes: read-only, shared with other pods."""
    shown: Mapping[str, Path] = field(default_factory=dict)
    """What links in these lead to: where jobs see it, and where it is."""

    def place(self, mount: VolumeMount) -> tuple[Path, bool]:
        """Return what a mount shows, and whether others see it too.

        Raises:
            PodError: the pod has no such volume, or the volume no such path.
        """
        if mount.sub_path:
            _check_relative(mount.sub_path)
        snapshot = self.snapshots.get(mount.volume)
        if snapshot is not None:
            return snapshot.place(mount.sub_path), True
        try:
            path = self.private[mount.volume]
        except KeyError:
            raise PodError(
                f"volumeMount {mount.target}: no volume {mount.volume!r}, there are "
                f"{', '.join([*self.private, *self.snapshots]) or 'none'}"
            ) from None
        if not mount.sub_path:
            return path, False
        place = path / mount.sub_path
        check_inside(place, path)
        if not place.exists():
            place.mkdir(parents=True)
        return place, False


def ensure_volumes(
    pod: Pod,
    folder: PodFolder,
    node: downward.Node,
    repository: str = "",
    published: Published | None = None,
) -> Volumes:
    """Put every volume in place that is not; return where they are.

    Args:
        pod: whose.
        folder: of the pod.
        node: that it runs on.
        repository: see :class:`NodeSettings`.
        published: see :func:`snapshot_trees`.

    Raises:
        PodError: one cannot be made here.
    """
    snapshots = {
        name: snapshot_trees(folder.work, digest, repository, published)
        for name, volume in pod.volumes.items()
        if (digest := digest_of((volume.get("image") or {}).get("reference", "")))
    }
    private: dict[str, Path] = {}
    for name, volume in pod.volumes.items():
        if name in snapshots:
            continue
        if not _NAME.fullmatch(name):
            raise PodError(
                f"volume {name[:80]!r}: expected a name of letters, digits and dashes"
            )
        place = folder.volumes / name
        if not place.exists():
            draft = folder.volumes / f".{name}.new"
            remove_tree(draft)
            draft.mkdir(parents=True, mode=0o700)
            if name == pod.working_folder:
                _fill_working_folder(snapshots, draft)
                fingerprints.record(draft, folder.fingerprints)
            else:
                _fill(pod, node, name, volume, draft)
            draft.rename(place)
        private[name] = place
    return Volumes(private, snapshots, published.shown if published else {})


def _fill_working_folder(snapshots: Mapping[str, SnapshotTrees], target: Path) -> None:
    for snapshot in snapshots.values():
        if "code" in snapshot.trees:
            copy_tree(snapshot.trees["code"], target)
            target.chmod(0o700)
            return


def _fill(pod: Pod, node: downward.Node, name: str, volume: Json, target: Path) -> None:
    if "emptyDir" in volume:
        return
    if "configMap" in volume:
        source = volume["configMap"]
        data = _object(pod.config_maps, source.get("name"), source, f"volume {name}")
        _write_data(target, data, source, _MODE)
    elif "secret" in volume:
        source = volume["secret"]
        data = _object(pod.secrets, source.get("secretName"), source, f"volume {name}")
        _write_data(target, data, source, _SECRET_MODE)
    elif "downwardAPI" in volume:
        source = volume["downwardAPI"]
        _write_downward(pod, node, source, target, source.get("defaultMode") or _MODE)
    elif "projected" in volume:
        _fill_projected(pod, node, name, volume["projected"], target)
    else:
        kinds = ", ".join(sorted(set(volume) - {"name"})) or "nothing"
        raise PodError(
            f"volume {name}: expected emptyDir, configMap, secret, projected, "
            f"downwardAPI or the image of a snapshot, got {kinds}"
        )


def _fill_projected(
    pod: Pod, node: downward.Node, name: str, volume: Json, target: Path
) -> None:
    mode = volume.get("defaultMode") or _MODE
    resolved = pod.projected.get(name)
    if resolved is not None:
        for path, content in resolved.items():
            _write(target, path, content, mode)
    sources = volume.get("sources") or []
    # Kubernetes adds such a volume to every pod; a virtual node may leave it out.
    is_optional = resolved is not None or any(
        "serviceAccountToken" in source for source in sources
    )
    for source in sources:
        if "downwardAPI" in source:
            _write_downward(pod, node, source["downwardAPI"], target, mode)
        for kind, objects in (
            ("configMap", pod.config_maps),
            ("secret", pod.secrets),
        ):
            if kind in source:
                part = {**source[kind], "defaultMode": mode}
                if is_optional:
                    part["optional"] = True
                where = f"volume {name}, {kind}"
                _write_data(
                    target, _object(objects, part.get("name"), part, where), part, mode
                )


def _object(
    objects: Mapping[str, Mapping[str, bytes]],
    name: str | None,
    source: Json,
    where: str,
) -> Mapping[str, bytes]:
    data = objects.get(name or "")
    if data is None and not source.get("optional"):
        raise PodError(f"{where}: {name!r} did not come with the pod")
    return data or {}


def _write_data(
    target: Path, data: Mapping[str, bytes], source: Json, default_mode: int
) -> None:
    mode = source.get("defaultMode") or default_mode
    items = source.get("items")
    if items is None:
        for key, content in data.items():
            _write(target, key, content, mode)
        return
    for item in items:
        if item["key"] in data:
            _write(target, item["path"], data[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise PodError(f"key {item['key']!r}: not among {', '.join(data)}")


def _write_downward(
    pod: Pod, node: downward.Node, source: Json, target: Path, mode: int
) -> None:
    for item in source.get("items") or []:
        if "fieldRef" in item:
            value = downward.field(pod, node, item["fieldRef"].get("fieldPath", ""))
        else:
            value = downward.resource(pod, node, None, item["resourceFieldRef"])
        _write(target, item["path"], value.encode(), item.get("mode") or mode)


def _write(folder: Path, path: str, content: bytes, mode: int) -> None:
    _check_relative(path)
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # of two sources with one path, the later counts
    place.write_bytes(content)
    place.chmod(mode)


def _check_relative(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise PodError(f"path {path!r}: expected one inside the volume")
