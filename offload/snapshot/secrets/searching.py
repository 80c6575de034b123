"""Finds secrets in what is about to leave the machine; never shows one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from offload.snapshot.secrets.files import find_by_file
from offload.snapshot.secrets.finding import Finding
from offload.snapshot.secrets.notebooks import notebook_texts
from offload.snapshot.secrets.rule import Rule, is_allowed_line
from offload.snapshot.secrets.rules import rules

WHOLE_BYTES = 2**20
"""Up to which size contents are worth looking at as a whole."""
_HEAD_BYTES = 2**13
_MOST_IN_FILE = 20
"""Findings of one file that are listed: a dump of keys is one mistake, not a thousand."""


def find(
    path: bytes, content: bytes, possible: Sequence[Rule] | None = None
) -> list[Finding]:
    """Return what looks like secrets in the content of a file of that name.

    The first bytes are looked at whatever they are, the whole only if it is text.

    Args:
        path: the name counts too.
        content: all of it, or a part.
        possible: the rules that may match; found out by default.
    """
    found = [
        Finding(path, kind, line or None)
        for kind, line in find_by_file(path, content[:_HEAD_BYTES])
    ]
    if b"\0" in content[:_HEAD_BYTES]:
        return found
    if possible is None:
        possible = [rule for rule in rules() if rule.is_possible(content)]
    if not possible:
        return found
    known = {(finding.line, finding.cell, finding.is_output) for finding in found}
    for finding in _in_text(path, content, possible):
        # One secret often has two shapes, such as a password in a URL in .netrc.
        place = (finding.line, finding.cell, finding.is_output)
        if place not in known:
            known.add(place)
            found.append(finding)
    return found[:_MOST_IN_FILE]


def _in_text(
    path: bytes, content: bytes, possible: Sequence[Rule]
) -> Iterator[Finding]:
    cells = notebook_texts(content) if path.endswith(b".ipynb") else None
    if cells is None:
        text = content.decode(errors="replace")
        for kind, line in _lines(text, possible):
            yield Finding(path, kind, line)
        return
    for cell in cells:
        for kind, line in _lines(cell.text, possible):
            yield Finding(path, kind, line, cell.cell, cell.is_output)


def _lines(text: str, possible: Sequence[Rule]) -> list[tuple[str, int]]:
    """Return kind and line number of each secret, in the order of lines."""
    found: list[tuple[int, str]] = []
    for rule in possible:
        places = (at for at in rule.find(text) if not is_allowed_line(text, at))
        found += ((at, rule.kind) for at in islice(places, _MOST_IN_FILE))
    return [(kind, text.count("\n", 0, at) + 1) for at, kind in sorted(found)]
