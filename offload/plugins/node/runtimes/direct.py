"""No container: private copies in the pod's folder, and every path rewritten to them.

For sites that allow neither apptainer nor user namespaces. Nothing is hidden from the
job; what it is given is its own, so it cannot harm the site's cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from offload.plugins.node.copying import copy_tree, remove_tree
from offload.plugins.node.folder import PodError
from offload.plugins.node.layout import Layout, Place, mount_points
from offload.plugins.node.pod import HOST_IMAGES, Container
from offload.plugins.node.runtimes.launch import Launch, Process


class Direct:
    """Runs processes as they are, with other paths (runtime ``none``)."""

    name: ClassVar[str] = "none"

    def __init__(self, binds: Collection[str] = ()) -> None:
        self._binds = binds  # everything of the site is seen anyway

    def probe(self) -> bool:
        return True

    def launch(self, container: Container, layout: Layout, process: Process) -> Launch:
        if container.image not in HOST_IMAGES:
            raise PodError(
                f"image {container.image!r}: this site can run neither apptainer nor "
                "bubblewrap, so only analysis-facility/host"
            )
        new = {place.target: _own(place, layout.copies) for place in layout.places}
        _link_inner(layout, new)
        environment = {
            name: moved(value, new) for name, value in process.environment.items()
        }
        environment["TMPDIR"] = str(layout.temporary)
        return Launch(
            argv=tuple(moved(word, new) for word in process.argv),
            environment=environment,
            cwd=moved(process.cwd, new),
            folders=(str(layout.temporary),),
        )


def moved(text: str, places: Mapping[str, Path]) -> str:
    """Return a text with every path below a place led to where the place now is.

    A path begins where no other letter of a path stands before it, and a place ends
    at a slash or where a path ends; of two places, the inner one counts.
    """
    if not places:
        return text
    names = sorted(places, key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in names)
    return re.sub(
        rf"(?<![\w./-])(?:{pattern})(?![\w.-])",
        lambda match: str(places[match[0]]),
        text,
    )


def _own(place: Place, copies: Path) -> Path:
    """Return where the place is: what others use too, as a copy."""
    if not place.is_shared:
        return place.source
    copy = copies / place.target.lstrip("/").replace("/", "__")
    if not copy.exists():
        draft = copy.with_name(f".{copy.name}.new")
        remove_tree(draft)
        draft.parent.mkdir(parents=True, exist_ok=True)
        copy_tree(place.source, draft)
        _relocate(draft, place.target, copy)
        draft.rename(copy)
    return copy


def _relocate(folder: Path, old: str, new: Path) -> None:
    # Environments hold their own path in scripts and link files.
    from offload.snapshot import relocation

    relocation.relocate(folder, old, str(new))


def _link_inner(layout: Layout, new: Mapping[str, Path]) -> None:
    for point, place in mount_points(layout):
        if point.is_symlink() or not point.exists():
            point.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                point.unlink()
            point.symlink_to(new[place.target])
