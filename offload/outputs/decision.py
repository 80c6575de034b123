"""The three-way decision about one path. No I/O.

Frozen is what both sides began with, theirs what the job made of it, ours what is in
the person's folder now.
"""

from __future__ import annotations

from enum import StrEnum

from offload.outputs.states import State
from offload.snapshot.tree import Kind

NOTEBOOK = b".ipynb"


class Decision(StrEnum):
    """What to do with one output of a job."""

    SAME = "same"
    """Nothing: it is here already."""
    CREATE = "create"
    """Put it where nothing is."""
    REPLACE = "replace"
    """Exchange what is here, which is as it was frozen."""
    CHANGE_MODE = "change mode"
    """The content is right, permissions follow."""
    KEEP_BOTH = "keep both"
    """What is here stays; the job's gets a name of its own beside it."""


def decide(
    frozen: State | None, theirs: State, ours: State | None, *, name: bytes
) -> Decision:
    """Decide about one path.

    Whatever is here and is neither as frozen nor the same as theirs stays as it is. A
    notebook that is here always stays: an editor may have it open.
    """
    if ours is None:
        return Decision.CREATE
    if ours.is_same_content(theirs):
        if merged_mode(frozen, theirs, ours) == ours.mode:
            return Decision.SAME
        return Decision.CHANGE_MODE
    is_untouched = frozen is not None and ours.is_same_content(frozen)
    is_replaceable = Kind.FOLDER not in {ours.kind, theirs.kind}
    is_notebook = name.endswith(NOTEBOOK) and ours.kind is Kind.FILE
    if is_untouched and is_replaceable and not is_notebook:
        return Decision.REPLACE
    return Decision.KEEP_BOTH


def merged_mode(frozen: State | None, theirs: State, ours: State | None) -> int:
    """Return permissions: the job's change of them, or else what they are here."""
    if ours is None or ours.kind is not theirs.kind:
        return theirs.mode
    if frozen is None:
        return ours.mode
    is_changed_there = theirs.mode != frozen.mode
    return theirs.mode if is_changed_there and ours.mode == frozen.mode else ours.mode


def name_beside(name: bytes, job: str, attempt: int = 0) -> bytes:
    """Return the name of the job's version of a file that is here: ``NAME.ID``.

    ``STEM.ID.ipynb`` for notebooks, so that it still opens as one. The number of the
    attempt, from 1, is added if the first name belongs to something else.
    """
    mark = f".{job}".encode() + (f".{attempt}".encode() if attempt else b"")
    if name.endswith(NOTEBOOK) and name != NOTEBOOK:
        return name.removesuffix(NOTEBOOK) + mark + NOTEBOOK
    return name + mark
