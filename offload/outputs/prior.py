"""What declared outputs were here already, though not frozen, when a job was submitted.

Outputs are often ignored by git, so they are no part of the snapshot; without this,
the second run of the same job would find those of the first in its way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offload.outputs.globs import Declared, fixed_part
from offload.outputs.states import to_bytes, to_text
from offload.outputs.walking import walk
from offload.snapshot.files.fingerprint import Fingerprint

_NEVER = frozenset([b".git"])
"""Nothing is merged there (see :func:`offload.outputs.reaching.check`)."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Fingerprints by absolute path."""

    paths: Mapping[bytes, Fingerprint]

    @classmethod
    def record(cls, root: Path, globs: Sequence[str]) -> Prior:
        """Look at what the globs declare; reads no file.

        Args:
            root: the working folder, where relative globs begin.
            globs: declared outputs.
        """
        top = os.fsencode(root)
        declared = Declared(tuple(globs), top)
        paths: dict[bytes, Fingerprint] = {}
        for start in {fixed_part(glob, top) for glob in globs}:
            _see(start, declared, paths)
            for path, _, found in walk(
                start, without=_NEVER, left_out=lambda _path, _why: None
            ):
                absolute = start + b"/" + path
                if declared.matching(absolute):
                    paths[absolute] = Fingerprint.of(found)
        return cls(paths)

    def is_as_it_was(self, path: bytes) -> bool:
        """Whether what is there is what was there, written by nobody since."""
        try:
            found = os.lstat(path)
        except OSError:
            return False
        before = self.paths.get(path)
        return before is not None and Fingerprint.of(found).is_still(before)

    def to_json(self) -> dict[str, Any]:
        return {to_text(path): list(seen) for path, seen in self.paths.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prior:
        return cls({to_bytes(path): Fingerprint(*seen) for path, seen in data.items()})


def _see(path: bytes, declared: Declared, paths: dict[bytes, Fingerprint]) -> None:
    """Add a path that is named without wildcards."""
    try:
        found = os.lstat(path)
    except OSError:
        return
    if declared.matching(path):
        paths[path] = Fingerprint.of(found)
