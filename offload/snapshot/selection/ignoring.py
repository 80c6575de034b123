"""Which files are never code: ``.facilityignore``, and what every tool leaves behind.

``.facilityignore`` reads as ``.gitignore`` does (gitignore(5)): one in a sub-folder
speaks for what lies below it, the deepest that says something wins. It only takes
files away from what git counts as part of the repository.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from pathspec import GitIgnoreSpec

FILE_NAME = b".facilityignore"

NEVER = frozenset({b".git", b"__pycache__", b".ipynb_checkpoints"})
"""Names that are left out wherever they are, without a word."""

ENVIRONMENT_MARKS = frozenset({b"pyvenv.cfg", b"conda-meta"})
"""A folder with one of these is a Python environment."""

_CACHES = frozenset(
    b".hg .svn .jj .cache .tox .nox .direnv .mypy_cache .pytest_cache .ruff_cache "
    b".hypothesis .eggs".split()
)
_BYTE_CODE = (b".pyc", b".pyo")
_HIDDEN = re.compile(rb"\.nfs.*|\..*\.sw[a-p]|\.DS_Store", re.DOTALL)


def is_cache(name: bytes, *, is_folder: bool) -> bool:
    """Tell whether tools make again what has that name; asked where no git says it."""
    # Any file is asked for: patterns of .gitignore's kind would take ten times as long.
    if name.startswith(b"."):
        if (is_folder and name in _CACHES) or _HIDDEN.fullmatch(name):
            return True
    elif is_folder and name == b"node_modules":
        return True
    return name.endswith(_BYTE_CODE)


class IgnoreFiles:
    """The ``.facilityignore`` files of one tree, met on the way down."""

    def __init__(self) -> None:
        self._specs: dict[bytes, GitIgnoreSpec] = {}

    def read(self, folder: bytes, path: bytes) -> None:
        """Take in the file of a folder (relative to the root).

        Raises:
            OSError: it cannot be read.
        """
        text = Path(os.fsdecode(path)).read_bytes().decode(errors="surrogateescape")
        self._specs[folder] = GitIgnoreSpec.from_lines(text.splitlines())

    def ignores(self, path: bytes, *, is_folder: bool) -> bool:
        """Tell whether a path (relative to the root) is to be left out.

        What lies below an ignored folder is not asked for.
        """
        if not self._specs:
            return False
        folder = path.rpartition(b"/")[0]
        while True:
            spec = self._specs.get(folder)
            if spec is not None:
                below = path[len(folder) + 1 :] if folder else path
                verdict = matches(spec, below, is_folder=is_folder)
                if verdict is not None:
                    return verdict
            if not folder:
                return False
            folder = folder.rpartition(b"/")[0]


def matches(spec: GitIgnoreSpec, path: bytes, *, is_folder: bool) -> bool | None:
    """Return whether patterns leave a path out, take it in, or do not know it."""
    return spec.check_file(os.fsdecode(path) + "/" * is_folder).include
