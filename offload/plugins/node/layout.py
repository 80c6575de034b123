"""What a container sees where: the pod's mounts, a private home, a private ``/tmp``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from offload.plugins.node.folder import PodFolder, check_inside, read_json, write_json
from offload.plugins.node.pod import Container
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
    for shown, source in volumes.shown.items():
        places[shown] = Place(source, shown, True, True)
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

    Raises:
        PodError: a link that the job has made leads elsewhere.
    """
    points: list[tuple[Path, Place]] = []
    for place in layout.places:
        around = [p for p in layout.places if is_inside(place.target, p.target)]
        if around and not around[-1].is_shared:
            outer = around[-1]
            inner = place.target[len(outer.target.rstrip("/")) + 1 :]
            point = outer.source / inner
            check_inside(point.parent, outer.source)
            points.append((point, place))
    return points


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """Where the job's outputs are looked for."""

    mount: str
    """As the job sees it."""
    path: Path
    """As it is here."""
    inside: tuple[str, ...]
    """Relative paths in it where others are mounted: no outputs of the job."""
    elsewhere: Mapping[str, Path]
    """Other private folders of the pod, by where the job sees them."""


def save_working_folder(
    folder: PodFolder, volume: Path, layouts: Iterable[Layout]
) -> None:
    """Write down where the working folder lies, for who packs it after a crash."""
    for layout in layouts:
        for place in layout.places:
            if place.source != volume:
                continue
            inside = [
                p.target[len(place.target) + 1 :]
                for p in layout.places
                if is_inside(p.target, place.target)
            ]
            elsewhere = {
                p.target: str(p.source)
                for p in layout.places
                if p is not place and not p.is_read_only and p.source.is_dir()
            }
            write_json(
                folder.layout,
                {
                    "mount": place.target,
                    "path": str(place.source),
                    "inside": inside,
                    "elsewhere": elsewhere,
                },
                is_durable=False,
            )
            return


def load_working_folder(folder: PodFolder) -> WorkingFolder | None:
    """Read what :func:`save_working_folder` wrote."""
    match read_json(folder.layout):
        case {
            "mount": str(mount),
            "path": str(path),
            "inside": list(inside),
            "elsewhere": dict(elsewhere),
        }:
            return WorkingFolder(
                mount,
                Path(path),
                tuple(inside),
                {target: Path(source) for target, source in elsewhere.items()},
            )
        case _:
            return None
