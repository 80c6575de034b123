"""What tells one state of a file from another without reading it."""

from __future__ import annotations

import os
from typing import NamedTuple

from offload.snapshot.tree import PERMISSIONS

SETTLED_NS = 2_000_000_000
"""Age from which a file's times are trusted to tell of any later change: file systems
with coarse times have steps of up to 2 s."""


class Fingerprint(NamedTuple):
    """What ``lstat`` says of a path; changes whenever its content does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    """Permission bits."""

    @classmethod
    def of(cls, found: os.stat_result) -> Fingerprint:
        # Half the time of the constructor, and this is done for every file there is.
        return tuple.__new__(
            cls,
            (
                found.st_dev,
                found.st_ino,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
                found.st_mode & PERMISSIONS,
            ),
        )

    def is_still(self, before: Fingerprint) -> bool:
        """Whether the path is what it was, though its file system was mounted anew."""
        return self[1:] == before[1:]

    def is_settled(self, now_ns: int) -> bool:
        """Whether any change after ``now_ns`` would make another fingerprint."""
        return max(self.mtime_ns, self.ctime_ns) < now_ns - SETTLED_NS
