"""bubblewrap: the site's own system read-only, everything else private. No root.

Source of options: bwrap(1), 0.8.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar

from offload.plugins.node.folder import PodError
from offload.plugins.node.layout import Layout, is_inside
from offload.plugins.node.pod import HOST_IMAGES, Container
from offload.plugins.node.runtimes.launch import Launch, Process, check_image

_SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
_GPU_DEVICES = ("nvidia*", "dri", "kfd")
_PROBE_S = 10
_OF_THE_LOADER = ("LD_", "GLIBC_TUNABLES")


class Bubblewrap:
    """Namespaces of mounts and processes; the network and the user stay as they are."""

    name: ClassVar[str] = "bubblewrap"

    def __init__(self, binds: Collection[str] = ()) -> None:
        self._program = shutil.which("bwrap")
        self._binds = tuple(binds)

    def probe(self) -> bool:
        if self._program is None:
            return False
        options = [*_namespaces(), *_system(Path("/"), ())]
        try:
            done = subprocess.run(
                [self._program, *options, "--proc", "/proc", "--dev", "/dev",
                 "--", "/bin/true"],
                stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_PROBE_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def launch(self, container: Container, layout: Layout, process: Process) -> Launch:
        root = _root_of(container, layout)
        targets = [place.target for place in layout.places]
        options = [*_namespaces(), *_system(root, targets)]
        options += ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
        if container.wants_gpu:
            options += _devices(_GPU_DEVICES)
        options += ["--bind", str(layout.temporary), "/tmp"]  # noqa: S108
        for folder in self._binds:
            options += ["--ro-bind-try", folder, folder]
        if root == Path("/"):
            options += ["--symlink", "/tmp", "/var/tmp"]  # noqa: S108
        options += ["--dir", "/run"]
        options += _resolver(root)
        for place in layout.places:
            if place.is_shared:
                options += _around(place.source, place.target, targets)
            else:
                flag = "--ro-bind" if place.is_read_only else "--bind"
                options += [flag, str(place.source), place.target]
        options += ["--chdir", process.cwd]
        environment = {**process.environment, "TMPDIR": "/tmp"}  # noqa: S108
        for name in [n for n in environment if n.startswith(_OF_THE_LOADER)]:
            # Meant for the job: here they would load its libraries into bubblewrap.
            options += ["--setenv", name, environment.pop(name)]
        if any("\0" in option for option in options):
            raise PodError("a path of the pod holds a NUL: expected none")
        return Launch(
            argv=(self._program or "bwrap", "--", *process.argv),
            environment=environment,
            arguments="".join(f"{option}\0" for option in options),
            is_sandboxed=True,
            folders=(str(layout.temporary),),
        )


def _root_of(container: Container, layout: Layout) -> Path:
    if container.image in HOST_IMAGES:
        return Path("/")
    root = Path(container.image)
    if not root.is_absolute():
        raise PodError(
            f"image {container.image!r}: bubblewrap runs analysis-facility/host or "
            "a folder with an unpacked image; only apptainer runs images by name"
        )
    if not root.is_dir():
        raise PodError(f"image {container.image!r}: no such folder on this node")
    check_image(root, layout)
    return root


def _namespaces() -> list[str]:
    options = ["--unshare-pid"]
    if os.getuid() == 0:
        # Root's capabilities would undo what is read-only here.
        options += ["--cap-drop", "ALL"]
    return options


def _system(root: Path, targets: Collection[str]) -> list[str]:
    """Bind an operating system read-only: the site's own, or an unpacked image."""
    names = _SYSTEM if root == Path("/") else sorted(p.name for p in root.iterdir())
    options: list[str] = []
    for name in names:
        if name not in {"proc", "dev", "sys", "tmp"} and os.path.lexists(root / name):
            options += _around(root / name, f"/{name}", targets)
    return options


def _around(source: Path, target: str, targets: Collection[str]) -> Iterator[str]:
    """Bind a folder read-only so that others can be mounted inside it.

    A mount needs a place to be mounted on, and nothing can be made in what is
    read-only: where a place is missing, the folder around it is rebuilt of binds.
    """
    if source.is_symlink():
        yield from ("--symlink", str(source.readlink()), target)
        return
    missing = any(
        is_inside(t, target) and not (source / t[len(target) + 1 :]).exists()
        for t in targets
    )
    if not missing or not source.is_dir():
        yield from ("--ro-bind", str(source), target)
        return
    yield from ("--dir", target)
    for child in sorted(source.iterdir()):
        yield from _around(child, f"{target}/{child.name}", targets)


def _devices(patterns: Collection[str]) -> list[str]:
    found = [
        path for pattern in patterns for path in sorted(Path("/dev").glob(pattern))
    ]
    return [word for path in found for word in ("--dev-bind", str(path), str(path))]


def _resolver(root: Path) -> list[str]:
    """Name servers are often told by a link that leads out of ``/etc``."""
    path = Path("/etc/resolv.conf")
    if root != Path("/") or not path.is_symlink():
        return []
    real = str(path.resolve())
    return [] if real.startswith(("/etc/", "/usr/")) else ["--ro-bind-try", real, real]
