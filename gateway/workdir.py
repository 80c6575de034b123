"""The folder of a cluster: its TLS files, logs, claims and room to spill."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from facility.process import ProcessIdentity, boot_id
from gateway.warm import Identity

SPILL = "spill"
"""Where a process that works in the folder spills to. Relative: arguments are public,
the name of a cluster is not."""


@dataclass(frozen=True, slots=True)
class Workdir:
    """Paths below one cluster's folder. All of it belongs to the user, mode 0700."""

    path: Path

    @property
    def certificate(self) -> Path:
        return self.path / "tls" / "dask.crt"

    @property
    def key(self) -> Path:
        return self.path / "tls" / "dask.pem"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def claim(self, name: str) -> Path:
        return self.path / "claims" / name

    @property
    def expected_environment(self) -> Path:
        """What the notebook is made of, as it declared."""
        return self.path / "environment.json"

    def create(
        self,
        *,
        certificate: bytes,
        key: bytes,
        environment: str | None,
        owner: Identity | None,
    ) -> None:
        """Make the folder and its files, wholly or not at all; again is no change."""
        if self.path.exists():
            return
        # Made aside and renamed: once it is the owner's, root writes nothing there.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        made = Workdir(draft)
        for name in ("", "tls", "logs", "claims", SPILL):
            (draft / name).mkdir(mode=0o700)
        files = [(made.certificate, certificate), (made.key, key)]
        if environment is not None:
            files.append((made.expected_environment, environment.encode()))
        for path, content in files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                file.write(content)
        if owner is not None:
            for path in [*draft.rglob("*"), draft]:
                os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
        draft.rename(self.path)

    def claimed(self, name: str, *, uid: int) -> ProcessIdentity | None:
        """Return who runs under this name, if he is alive and that user's.

        The file is the user's: it may be a link, a pipe, or name a process of
        somebody else.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            with os.fdopen(os.open(self.claim(name), flags)) as file:
                content = json.loads(file.read(1000))
            process = ProcessIdentity(
                int(content["pid"]), int(content["start_ticks"]), boot_id()
            )
            if Path(f"/proc/{process.pid}").stat().st_uid != uid:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return process if process.is_alive() else None

    def remove_private(self) -> None:
        """Remove everything but the logs."""
        for path in (
            *(self.path / name for name in ("tls", "claims", SPILL)),
            self.expected_environment,
        ):
            _remove(path)


def remove_old(base: Path, *, before: float, keep: set[str]) -> None:
    """Remove the folders of ended clusters last touched before that time."""
    for path in base.iterdir():
        if path.name not in keep and path.lstat().st_mtime < before:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove what a user may have put there, as far as it lets itself be removed."""
    with contextlib.suppress(OSError):
        path.unlink()
        return
    # Folders that are nested too deep (Python 3.11 to 3.12) stay where they are.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)


def make_passable(base: Path) -> None:
    """Make a folder that others may pass through but not list; so its parents, too."""
    # Made with its mode, not given it later: who is killed between leaves it closed.
    before = os.umask(0o066)
    try:
        for path in (*reversed(base.parents), base):
            path.mkdir(mode=0o711, exist_ok=True)
    finally:
        os.umask(before)
