"""apptainer (or singularity): images by name, and the site's own system as one.

Source of options: apptainer's user documentation, 1.3, ``apptainer exec``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from offload.plugins.node.folder import PodError
from offload.plugins.node.layout import Layout
from offload.plugins.node.pod import HOST_IMAGES, Container
from offload.plugins.node.runtimes.launch import Launch, Process, check_image

_SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
_PROBE_S = 60


class Apptainer:
    """A container without privileges, of an image or of the site's own ``/usr``."""

    name: ClassVar[str] = "apptainer"

    def __init__(self, binds: Collection[str] = ()) -> None:
        self._program = shutil.which("apptainer") or shutil.which("singularity")
        self._binds = tuple(binds)

    def probe(self) -> bool:
        if self._program is None:
            return False
        # Only where there is an apptainer: every job waits for what this module imports.
        from tempfile import TemporaryDirectory

        try:
            # Of a name that nobody knows before: an image runs what lies in it.
            with TemporaryDirectory(prefix="facility-root-") as folder:
                done = subprocess.run(
                    [self._program, "exec", "--containall", *self._host_binds(),
                     str(skeleton(Path(folder))), "/bin/true"],
                    stdin=subprocess.DEVNULL, capture_output=True,
                    timeout=_PROBE_S, check=False,
                )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def launch(self, container: Container, layout: Layout, process: Process) -> Launch:
        options = ["--containall", "--pwd", process.cwd, "--home", layout.home]
        options += ["--bind", f"{layout.temporary}:/tmp"]
        if container.wants_gpu:
            options.append("--nv")
        if container.image in HOST_IMAGES:
            folder = layout.termination_log.parent
            image = str(skeleton(folder / "system"))
            options += self._host_binds()
        else:
            image = container.image
            if not image.startswith(("/", "docker://", "oras://", "library://")):
                image = f"docker://{image}"
            if Path(image).is_absolute() and Path(image).is_dir():
                check_image(Path(image), layout)
        for folder_name in self._binds:
            options += ["--bind", f"{folder_name}:{folder_name}:ro"]
        for place in layout.places:
            # These divide paths in its options: what follows would be others of them.
            if not {":", ","}.isdisjoint(place.target):
                raise PodError(
                    f"mountPath {place.target!r}: apptainer takes no colon and no comma"
                )
            mode = "ro" if place.is_read_only else "rw"
            options += ["--bind", f"{place.source}:{place.target}:{mode}"]
        inside = {
            # The one way to hand over an environment that shows in no command line.
            f"APPTAINERENV_{name}": value
            for name, value in process.environment.items()
        }
        return Launch(
            argv=(self._program or "apptainer", "exec", *options, image, *process.argv),
            environment={**os.environ, **inside, "APPTAINERENV_TMPDIR": "/tmp"},  # noqa: S108
            folders=(str(layout.temporary),),
        )

    def _host_binds(self) -> list[str]:
        return [
            word
            for name in _SYSTEM
            if (Path("/") / name).is_dir() and not (Path("/") / name).is_symlink()
            for word in ("--bind", f"/{name}:/{name}:ro")
        ]


def skeleton(folder: Path) -> Path:
    """Make an empty image: the folders to bind the site's own system on."""
    for name in (*_SYSTEM, "proc", "sys", "dev", "tmp", "home", "run", "var"):
        original = Path("/") / name
        place = folder / name
        if original.is_symlink():
            if not place.is_symlink():
                folder.mkdir(parents=True, exist_ok=True)
                place.symlink_to(original.readlink())
        elif original.is_dir():
            place.mkdir(parents=True, exist_ok=True)
    return folder
