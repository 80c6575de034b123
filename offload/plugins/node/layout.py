"""What a container sees where: the pod's mounts, a private home, a private ``/tmp``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from offload.plugins.node.folder import PodFolder, read_json, write_json
from offload.plugins.node.pod import Container, Pod
from offload.plugins.node.volumes import Volumes

DEFAULT_HOME = "/home/job"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or file of this machine at a path in the container."""

    source: Path
    target: str
    is_read_only: bool
    is_shared: bool
    """Part of a tree that other pods use: never to be written to by any runtime."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All places of one container, those inside others after them."""

    places: tuple[Place, ...]
    home: str
    temporary: Path
    """``/tmp``, on the node's own disk."""
    termination_log: Path
    copies: Path
    """Where a runtime that cannot mount keeps the pod's copies of shared places."""


def plan_layout(
    container: Container,
    folder: PodFolder,
    volumes: Volumes,
    *,
    home: str,
    scratch: Path,
    termination_log: Path,
) -> Layout:
    """Return what a container sees where.

    Raises:
        PodError: a mount names what is not there.
    """
    places: dict[str, Place] = {}
    home = _normal(home or DEFAULT_HOME)
    places[home] = Place(folder.path / "home", home, False, False)
    for mount in container.mounts:
        source, is_shared = volumes.place(mount)
        target = _normal(mount.target)
        places[target] = Place(
            source, target, mount.is_read_only or is_shared, is_shared
        )
    target = _normal(container.termination_path)
    places[target] = Place(termination_log, target, False, False)
    return Layout(
        tuple(sorted(places.values(), key=lambda p: p.target.count("/"))),
        home,
        scratch / container.name,
        termination_log,
        folder.root,
    )


def _normal(path: str) -> str:
    return str(PurePosixPath("/") / os.path.normpath(path).lstrip("/"))


def is_inside(path: str, folder: str) -> bool:
    """Whether a path lies strictly below another."""
    return path.startswith(folder.rstrip("/") + "/")


def mount_points(layout: Layout) -> list[tuple[Path, Place]]:
    """Return what must exist, in the pod's own folders, for a place to be mounted on.

    The innermost writable place around it is where it appears.
    """
    points: list[tuple[Path, Place]] = []
    for place in layout.places:
        around = [p for p in layout.places if is_inside(place.target, p.target)]
        if around and not around[-1].is_shared:
            outer = around[-1]
            points.append(
                (
                    outer.source / place.target[len(outer.target.rstrip("/")) + 1 :],
                    place,
                )
            )
    return points


def save_working_folder(
    folder: PodFolder, pod: Pod, volumes: Volumes, layouts: Mapping[str, Layout]
) -> None:
    """Write down where the working folder lies, and what in it is not the job's own."""
    source = volumes.private.get(pod.working_folder)
    if source is None:
        return
    for layout in layouts.values():
        for place in layout.places:
            if place.source == source:
                inside = [
                    p.target[len(place.target) + 1 :]
                    for p in layout.places
                    if is_inside(p.target, place.target)
                ]
                write_json(
                    folder.layout,
                    {
                        "working_folder": str(source),
                        "mount": place.target,
                        "inside": inside,
                        "places": {p.target: str(p.source) for p in layout.places},
                    },
                )
                return


def load_working_folder(folder: PodFolder) -> Mapping[str, object] | None:
    """Read what :func:`save_working_folder` wrote."""
    document = read_json(folder.layout)
    return document if isinstance(document, dict) else None
