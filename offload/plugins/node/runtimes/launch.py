"""What a runtime is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from offload.plugins.node.folder import PodError
from offload.plugins.node.layout import Layout
from offload.plugins.node.pod import Container


@dataclass(frozen=True, slots=True)
class Process:
    """What the pod wants to run, in the container's own paths."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute on this machine for it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str = "/"
    arguments: str = ""
    """bubblewrap's options, NUL after each, handed over in a file in memory."""
    is_sandboxed: bool = False
    """Whether ``argv`` is bubblewrap, which takes options so and reports its end."""
    folders: tuple[str, ...] = field(default=())
    """What must be there, on every node of the job, before."""


class Runtime(Protocol):
    """Runs a process in a container's layout."""

    name: ClassVar[str]

    def __init__(self, binds: Collection[str] = ()) -> None: ...

    def probe(self) -> bool:
        """Whether it works on this machine, for this user."""
        ...

    def launch(self, container: Container, layout: Layout, process: Process) -> Launch:
        """Say what to execute; may prepare the pod's own folders.

        Raises:
            PodError: the container cannot run so.
        """
        ...


def check_image(root: Path, layout: Layout) -> None:
    """Make sure that a folder is an unpacked image, and not what pods are kept from.

    Raises:
        PodError: it is no system, or the homes or other pods are in it.
    """
    real = root.resolve()
    ours = (Path.home().resolve(), layout.copies.resolve())
    if any(place.is_relative_to(real) for place in ours) or not (real / "usr").is_dir():
        raise PodError(f"image {str(root)!r}: expected a folder with an unpacked image")
