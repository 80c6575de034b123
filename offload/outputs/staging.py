"""The job's version under a hidden name of its own, beside the name that it may get.

``part`` while it is written, ``staged`` once it is whole. After an exchange ``staged``
is what was replaced. ``saved`` is there between the steps of an exchange on file systems
that need several.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from offload.outputs.copying import copy
from offload.outputs.kernel import exchange, hold_against_writers, rename_to_free
from offload.outputs.reaching import RefusedError, Spot
from offload.outputs.states import State, digest_of, kind_of, observe, open_file
from offload.snapshot.tree import Kind

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Staging:
    """The hidden names of one output beside its spot."""

    spot: Spot
    prefix: bytes
    """What all of them begin with; no other output's do."""

    @property
    def part(self) -> bytes:
        return self.prefix + b"part"

    @property
    def staged(self) -> bytes:
        return self.prefix + b"merging"

    @property
    def saved(self) -> bytes:
        return self.prefix + b"replaced"

    def observe(self) -> State | None:
        """Return what is staged; ``None`` if nothing is."""
        return observe(self.staged, folder=self.spot.handle)

    def write(self, source: bytes, wanted: State, mode: int) -> None:
        """Write the job's version, whole and on the disk.

        Args:
            source: where it lies.
            wanted: what it is.
            mode: permissions to give it.

        Raises:
            RefusedError: it is not any more what the job had made.
        """
        _remove(self.part, self.spot.handle)
        try:
            got = self._write_part(source, wanted.kind, mode)
        except OSError:  # no space: what is there of it would only be in the way
            _remove(self.part, self.spot.handle)
            raise
        if not got.is_same_content(wanted):
            _remove(self.part, self.spot.handle)
            raise RefusedError("it was changed in the job's folder after it landed")
        self._rename(self.part)

    def _write_part(self, path: bytes, kind: Kind, mode: int) -> State:
        folder = self.spot.handle
        try:
            if kind is Kind.LINK:
                target = os.readlink(path)  # noqa: PTH115 - a Path has no bytes
                os.symlink(target, self.part, dir_fd=folder)
                return State.link(target)
            source = open_file(path)
        except OSError as error:
            raise RefusedError(
                f"it cannot be read in the job's folder: {error.strerror}"
            ) from error
        with source:
            handle = os.open(self.part, _NEW, 0o600, dir_fd=folder)
            with os.fdopen(handle, "wb") as file:
                sha256, size = copy(source, file)
                os.fchmod(handle, mode)
                os.fsync(handle)
        return State.file(mode, size, sha256)

    def claim(self, name: bytes) -> bool:
        """Give what is staged a free name; return whether it was free."""
        try:
            rename_to_free(self.staged, name, self.spot.handle)
        except FileExistsError:
            return False
        return True

    def exchange(self) -> bool:
        """Swap what is staged with what has the name; return whether both were there."""
        try:
            exchange(self.staged, self.spot.name, self.saved, self.spot.handle)
        except FileNotFoundError:
            return False
        return True

    def discard(self, expected: State) -> bool:
        """Remove what is staged if it is as expected and nobody writes to it.

        Returns whether it was.
        """
        folder = self.spot.handle
        found = os.stat(self.staged, dir_fd=folder, follow_symlinks=False)
        if kind_of(found.st_mode) is not expected.kind:
            return False
        if expected.kind is Kind.LINK:
            now = self.observe()
            if now is None or not now.is_same_content(expected):
                return False
            os.unlink(self.staged, dir_fd=folder)
            return True
        with open_file(self.staged, folder=folder) as file:
            if not hold_against_writers(file.fileno()):
                return False
            sha256, _ = digest_of(file)
            if sha256 != expected.content:
                return False
            os.unlink(self.staged, dir_fd=folder)
        return True

    def take_up(self) -> None:
        """Go on where somebody was killed: in writing, or between steps of an exchange."""
        _remove(self.part, self.spot.handle)
        if observe(self.saved, folder=self.spot.handle) is None:
            return
        if self.observe() is None:
            self._rename(self.saved)
        else:
            # A second name of what is still there.
            _remove(self.saved, self.spot.handle)

    def _rename(self, name: bytes) -> None:
        folder = self.spot.handle
        os.rename(name, self.staged, src_dir_fd=folder, dst_dir_fd=folder)


def _remove(name: bytes, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
