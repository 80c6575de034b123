"""What the site says to its wrappers: ``node.json`` in the work area."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from offload.plugins.node.folder import PodError, PodFolder, read_json, write_json


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Written by the plugin, read by every wrapper; all of it may be missing."""

    runtime: str = "auto"
    """``apptainer``, ``bubblewrap``, ``none``, or the first that works."""
    binds: tuple[str, ...] = ()
    """Folders of the site that jobs see, read-only, besides its system: ``/cvmfs``."""
    repository: str = ""
    """Where the repository of published environments is mounted; trees link to it."""
    reading: Mapping[str, Any] | None = None
    """How it is read over the network, if jobs may read it so."""
    scratch: str = ""
    """Where a node's own disk is; else ``TMPDIR``, else ``/tmp``."""
    restart_delay_s: float = 10.0
    """Before a failed container starts again; doubled each time, to five minutes."""
    kill_wait_s: float = 30.0
    """How long after SIGTERM the scheduler sends SIGKILL (Slurm's ``KillWait``)."""

    def save(self, work: Path) -> None:
        """Write them where the wrappers of a work area look."""
        write_json(work / "node.json", asdict(self))

    @classmethod
    def load(cls, work: Path) -> NodeSettings:
        """Read what :meth:`save` wrote.

        Raises:
            PodError: it is something else.
        """
        document = read_json(work / "node.json") or {}
        known = {field.name for field in fields(cls)}
        if not isinstance(document, dict) or set(document) - known:
            raise PodError(f"{work / 'node.json'}: expected {sorted(known)}")
        document["binds"] = tuple(document.get("binds", ()))
        return cls(**document)

    def scratch_folder(self, folder: PodFolder, environment: Mapping[str, str]) -> Path:
        """Return where the pod's ``/tmp`` lies on this node; not made yet."""
        base = self.scratch or environment.get("TMPDIR") or "/tmp"  # noqa: S108
        # Several work areas may use one node, and each clears what its jobs left.
        area = hashlib.sha256(os.fsencode(folder.work)).hexdigest()[:8]
        return Path(base) / f"facility-{area}-{folder.path.name}"
