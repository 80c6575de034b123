"""Which paths a person declared as outputs: ``results/**``, ``*.root``, ``/abs/*``."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from offload.outputs.states import to_bytes, to_text


@dataclass(frozen=True, slots=True)
class Declared:
    """Globs of one job, matched against paths as the job sees them.

    ``**`` stands for any number of folders, ``*``, ``?`` and ``[...]`` for parts of
    one name. A glob that names a folder declares all that is in it. Relative ones
    begin at the working folder.
    """

    globs: tuple[str, ...]
    working: bytes
    """The working folder, as an absolute path in the job."""

    def matching(self, path: bytes) -> tuple[str, ...]:
        """Return the globs that declare an absolute path."""
        text = to_text(path)
        return tuple(g for g in self.globs if self._pattern(g).fullmatch(text))

    def _pattern(self, glob: str) -> re.Pattern[str]:
        absolute = glob if glob.startswith("/") else f"{to_text(self.working)}/{glob}"
        # Only the person's own words are a pattern: a folder may be called "a[1]".
        fixed = 0 if glob.startswith("/") else self.working.count(b"/")
        return _compiled(absolute, fixed)


def fixed_part(glob: str, working: bytes) -> bytes:
    """Return the absolute path below which all lies that a glob can match."""
    absolute = glob.startswith("/")
    parts = [part for part in glob.split("/") if part not in {"", "."}]
    fixed = itertools.takewhile(lambda part: not set(part) & set("*?["), parts)
    return b"/".join([b"" if absolute else working, *map(to_bytes, fixed)])


@lru_cache(maxsize=512)
def _compiled(glob: str, fixed: int) -> re.Pattern[str]:
    """Translate; the first ``fixed`` parts of the path are taken literally."""
    parts = glob.lstrip("/").split("/")
    literal, own = parts[:fixed], [p for p in parts[fixed:] if p not in {"", "."}]
    pattern = "".join(f"/{re.escape(part)}" for part in literal)
    for part in own:
        pattern += "(?:/[^/]+)*" if part == "**" else f"/{_name(part)}"
    return re.compile(f"(?s:{pattern}(?:/.*)?)")


def _name(part: str) -> str:
    """Translate the glob of one name, as fnmatch(3) with FNM_PATHNAME reads it."""
    pattern, rest = "", part
    while rest:
        character, rest = rest[0], rest[1:]
        members = re.match(r"([!^]?)(\]?[^]]*)\]", rest) if character == "[" else None
        if members is not None:
            negated, inside = members.groups()
            inside = re.sub(r"([\\\[&~|^\]])", r"\\\1", inside)
            pattern += f"(?!/)[{'^' if negated else ''}{inside}]"
            rest = rest[members.end() :]
        else:
            pattern += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
    return pattern
