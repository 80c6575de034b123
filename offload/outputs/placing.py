"""One output gets its name in the person's folder; no edit of his is ever lost.

The job's version is first written under a hidden name of its own beside the target
(:mod:`offload.outputs.staging`):

- where nothing is, it is renamed, if still nothing is (``RENAME_NOREPLACE``);
- what is to be replaced is *exchanged* with it (``RENAME_EXCHANGE``). Only then is it
  looked at again, under the hidden name, where nobody else finds it: if nobody has it
  open for writing and it is byte for byte what was to be replaced, it is removed;
  otherwise it gets its name back and the job's version goes beside it.

So only files whose content is known to be that of the frozen state or of the job are
ever removed, also when somebody saves in the very instant, and also when this process
is killed between any two steps: the journal and the hidden name tell which was last.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Any

from offload.outputs.changes import Change
from offload.outputs.decision import Decision, decide, merged_mode, name_beside
from offload.outputs.journal import Journal
from offload.outputs.kernel import hold_against_writers
from offload.outputs.prior import Prior
from offload.outputs.reaching import RefusedError, Spot, ensure_folder
from offload.outputs.report import Item, Outcome
from offload.outputs.staging import Staging
from offload.outputs.states import State, observe, open_file, to_text
from offload.snapshot.tree import Kind

TRIES = 5
"""So often may somebody change a file while it is merged."""


@dataclass(slots=True)
class Placing:
    """One output of a job on its way to its spot."""

    job: str
    change: Change
    theirs: State
    landed: bytes
    """Where the job's version lies."""
    area: bytes
    """Where the change's area is at home."""
    journal: Journal
    prior: Prior
    """What was here, though not frozen: it counts as frozen."""
    spot: Spot
    _staging: Staging = field(init=False)

    def __post_init__(self) -> None:
        key = hashlib.sha256(self.change.area + b"\0" + self.change.path).hexdigest()
        self._staging = Staging(self.spot, f".{self.job}.{key[:16]}.".encode())

    @property
    def _moved(self) -> bytes | None:
        """Where it goes, if a file in the place of a folder has led it aside."""
        return None if self.spot.path == self.change.path else self.spot.path

    def _item(
        self, outcome: Outcome, placed: bytes | None = None, why: str = ""
    ) -> Item:
        """Say what became of it; ``placed`` is relative to the area."""
        return Item(
            self.area + b"/" + self.change.path,
            outcome,
            None if placed is None else self.area + b"/" + placed,
            why,
        )

    def place(self) -> Item:
        """Do whatever is right, from the beginning.

        Raises:
            RefusedError: it cannot be done here.
            OSError: as the file system says.
        """
        why = ""
        for _ in range(TRIES):
            kept = self._start_over()
            if kept is not None:
                why = f"an edit made meanwhile is kept as {to_text(kept)!r}"
            item = self._attempt(why)
            if item is not None:
                return item
        raise RefusedError("somebody changes it all the time")

    def resume(self, last: dict[str, Any]) -> Item | None:
        """Finish what a killed merge had begun; ``None``: it has to begin again."""
        if last["step"] != "staged":
            self._start_over()
            return None
        self._staging.take_up()
        hidden = self._staging.observe()
        item = Item.from_json(last["item"])
        if hidden is None:
            return item
        if item.outcome is Outcome.REPLACED and not hidden.is_same_content(self.theirs):
            expected = State.from_json(last["expected"])
            if self._staging.discard(expected):
                return item
        self._start_over()
        return None

    def _attempt(self, why: str) -> Item | None:
        """Decide and act; ``None`` if somebody was quicker."""
        spot = self.spot
        ours = observe(spot.name, folder=spot.handle)
        frozen = self.change.frozen
        if frozen is None and self.prior.is_as_it_was(self.area + b"/" + spot.path):
            frozen = ours
        decision = decide(frozen, self.theirs, ours, name=spot.name)
        mode = merged_mode(frozen, self.theirs, ours)
        moved = self._moved
        if decision is Decision.SAME:
            return self._item(Outcome.SAME, moved, why)
        if decision is Decision.CHANGE_MODE:
            _change_mode(spot, mode)
            return self._item(Outcome.MODE_CHANGED, moved, why)
        if self.theirs.kind is Kind.FOLDER:
            return self._make_folder(ours)
        if decision is Decision.REPLACE and _is_written(spot):
            decision, why = Decision.KEEP_BOTH, "somebody is writing to yours"
        self._staging.write(self.landed, self.theirs, mode)
        if decision is Decision.CREATE:
            outcome = Outcome.CREATED if moved is None else Outcome.KEPT_BOTH
            if moved is None and frozen is not None:
                why = why or "yours had been deleted meanwhile"
            return self._claim(spot.name, self._item(outcome, moved, why))
        if decision is Decision.REPLACE:
            assert ours is not None
            return self._replace(ours, self._item(Outcome.REPLACED, moved, why))
        return self._put_beside(why)

    def _make_folder(self, ours: State | None) -> Item | None:
        spot = self.spot
        mode = self.theirs.mode | 0o700
        if ours is None:
            if not ensure_folder(spot.name, spot.handle, mode):
                return None
            return self._item(Outcome.CREATED, self._moved)
        if ours.kind is Kind.LINK:
            raise RefusedError("it is a link here, not a folder")
        name = name_beside(spot.name, self.job)
        ensure_folder(name, spot.handle, mode)
        found = observe(name, folder=spot.handle)
        if found is None or found.kind is not Kind.FOLDER:
            raise RefusedError("it is a file here, and so is the name beside it")
        return self._beside(name, "yours is a file")

    def _claim(self, name: bytes, item: Item) -> Item | None:
        """Give the staged file a free name; ``None`` if it is taken."""
        self._write("staged", item=item.to_json())
        return item if self._staging.claim(name) else None

    def _put_beside(self, why: str) -> Item:
        spot, attempt = self.spot, 0
        while True:
            name = name_beside(spot.name, self.job, attempt)
            item = self._beside(name, why)
            there = observe(name, folder=spot.handle)
            if there is not None and there.is_same_content(self.theirs):
                self._start_over()
                return item
            if there is None and self._claim(name, item) is not None:
                return item
            attempt += there is not None

    def _beside(self, name: bytes, why: str) -> Item:
        return self._item(Outcome.KEPT_BOTH, replace(self.spot, name=name).path, why)

    def _replace(self, ours: State, item: Item) -> Item | None:
        self._write("staged", item=item.to_json(), expected=ours.to_json())
        is_done = self._staging.exchange() and self._staging.discard(ours)
        return item if is_done else None

    def _start_over(self) -> bytes | None:
        """Empty the hidden names; what is the person's gets its own name back.

        Returns the name of an edit for which there was no other place.
        """
        staging = self._staging
        staging.take_up()
        for _ in range(TRIES):
            hidden = staging.observe()
            if hidden is None:
                return None
            # From now on an empty hidden name does not mean that it was placed.
            self._write("again")
            if hidden.is_same_content(self.theirs):
                if staging.discard(hidden):
                    return None
                break
            if self._give_back():
                return None
        attempt, yours = 0, f"{self.job}.yours"
        while not staging.claim(name := name_beside(self.spot.name, yours, attempt)):
            attempt += 1
        return name

    def _give_back(self) -> bool:
        """Try to give what is hidden its name; return whether nothing is hidden now."""
        here = observe(self.spot.name, folder=self.spot.handle)
        if here is None:
            return self._staging.claim(self.spot.name)
        if here.is_same_content(self.theirs):
            self._staging.exchange()
        return False

    def _write(self, step: str, **data: Any) -> None:
        at = to_text(self.spot.path)
        self.journal.write(self.change.about, step, at=at, **data)


def _is_written(spot: Spot) -> bool:
    """Whether somebody has it open for writing now (asked only of files)."""
    try:
        with open_file(spot.name, folder=spot.handle) as file:
            return not hold_against_writers(file.fileno())
    except OSError:  # a link, or gone: the exchange will tell
        return False


def _change_mode(spot: Spot, mode: int) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(spot.name, flags, dir_fd=spot.handle)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
