"""No container: private copies in the pod's folder, and every path rewritten to them.

For sites that allow neither apptainer nor user namespaces. Nothing is hidden from the
job; what it is given is its own, so it cannot harm the site's cache.
"""

from __future__ import annotations

import hashlib
import re
import shutil
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
        new = {place.target: _new_place(place, layout) for place in layout.places}
        for place in layout.places:
            if place.is_shared:
                _ensure_copy(place.source, new[place.target], new)
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

    A path begins where no other letter of a path stands before it (but in ``-I/path``
    and ``file:///path``), and a place ends at a slash or where a path ends; of two
    places, the inner one counts.
    """
    if not places:
        return text
    names = sorted(places, key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in names)
    return re.sub(
        rf"(?:(?<![\w.~@+-])|(?<=-[ILR]))(?<![\w.~@+-]/)(?:{pattern})(?![\w.@+~-])",
        lambda match: str(places[match[0]]),
        text,
    )


def _new_place(place: Place, layout: Layout) -> Path:
    """Return where a place is: what others use too, as a copy."""
    if not place.is_shared:
        return place.source
    # Short: the first line of a script that names its interpreter has few bytes.
    name = hashlib.sha256(f"{place.source}\0{place.target}".encode()).hexdigest()[:8]
    return layout.copies / name


def _ensure_copy(source: Path, copy: Path, places: Mapping[str, Path]) -> None:
    if copy.exists():
        return
    draft = copy.with_name(f".{copy.name}.new")
    draft.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # Environments hold their own path in scripts and link files. Imported here
        # because most sites never need it.
        from offload.snapshot.environments.relocation import relocate

        remove_tree(draft)
        copy_tree(source, draft)
        relocate(draft, {old: str(new) for old, new in places.items()})
    else:
        shutil.copy2(source, draft)
    draft.rename(copy)


def _link_inner(layout: Layout, new: Mapping[str, Path]) -> None:
    for point, place in mount_points(layout):
        if point.is_symlink() or not point.exists():
            point.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                point.unlink()
            point.symlink_to(new[place.target])
