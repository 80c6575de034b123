"""The working folder as it was when the job began: what changes are counted from.

A file whose inode, size and times are still the same at the end was not written to,
and is not read again. For that, its fingerprint must be older than any later write:
whoever takes it waits until the file system's clock has moved on (the "racy" problem of
git's index).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from offload.outputs.states import State
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.tree import Entry


@dataclass(frozen=True, slots=True)
class Known:
    """One frozen path and its copy."""

    frozen: State
    copy: Fingerprint | None
    """As the job found it, whose permissions may not be the frozen ones. ``None``: not
    seen when the job began, so it must be read to be compared."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Every frozen path of the working folder."""

    paths: Mapping[bytes, Known]

    @classmethod
    def of(
        cls,
        frozen: Iterable[Entry],
        copies: Mapping[bytes, Fingerprint] | None = None,
    ) -> Self:
        """Put together the tree that was copied and the fingerprints of the copy."""
        seen = copies or {}
        return cls({e.path: Known(State.of(e), seen.get(e.path)) for e in frozen})
