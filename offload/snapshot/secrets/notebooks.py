"""The text in a notebook, cell by cell: what was typed and what it printed.

Source: nbformat 4 (the notebook format's documentation); 3 had worksheets around cells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class CellText:
    """One text of a cell."""

    cell: int
    """The first of the notebook is 1."""
    is_output: bool
    text: str


def notebook_texts(content: bytes) -> list[CellText] | None:
    """Return the texts of a notebook; None if it is none. Pictures are left out."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(notebook, dict):
        return None
    sheets = notebook.get("worksheets")
    holders = sheets if isinstance(sheets, list) else [notebook]
    cells = [
        cell
        for holder in holders
        if isinstance(holder, dict)
        for cell in _list(holder.get("cells"))
        if isinstance(cell, dict)
    ]
    found = []
    for number, cell in enumerate(cells, start=1):
        source = _text(cell.get("source", cell.get("input")))
        found.append(CellText(number, is_output=False, text=source))
        for output in _list(cell.get("outputs")):
            texts = _output(output) if isinstance(output, dict) else ()
            found += (CellText(number, is_output=True, text=text) for text in texts)
    return found


def _output(output: dict[str, object]) -> Iterator[str]:
    yield _text(output.get("text"))
    yield _ANSI.sub("", "\n".join(_strings(output.get("traceback"))))
    data = output.get("data")
    if isinstance(data, dict):
        for kind, value in data.items():
            if not kind.startswith(("image/", "audio/", "video/")):
                text = isinstance(value, str | list)
                yield _text(value) if text else json.dumps(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "".join(_strings(value))


def _strings(value: object) -> list[str]:
    return [each for each in _list(value) if isinstance(each, str)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
