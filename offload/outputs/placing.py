"""One output gets its name in the person's folder; no edit of his is ever lost.

The job's version is first written under a hidden name of its own beside the target:

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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from offload.outputs.changes import Change
from offload.outputs.copying import copy
from offload.outputs.decision import Decision, decide, merged_mode, name_beside
from offload.outputs.journal import Journal
from offload.outputs.kernel import exchange, hold_against_writers, rename_to_free
from offload.outputs.reaching import RefusedError, Spot, ensure_folder
from offload.outputs.report import Item, Outcome
from offload.outputs.states import (
    State,
    digest_of,
    kind_of,
    observe,
    open_file,
    to_text,
)
from offload.snapshot.tree import Kind

TRIES = 5
"""So often may somebody change a file while it is merged."""


@dataclass(frozen=True, slots=True)
class Placing:
    """One output of a job on its way to its name."""

    job: str
    change: Change
    theirs: State
    landed: bytes
    """Where the job's version lies."""
    area: bytes
    """Where the change's area is at home."""
    journal: Journal
    frozen_here: Callable[[bytes, State], State | None]
    """What counts as frozen for a path (absolute, and what is there now)."""

    @property
    def about(self) -> str:
        """What the journal calls it."""
        return to_text(self.change.area + b"/" + self.change.path)

    def _hidden(self, suffix: bytes) -> bytes:
        key = hashlib.sha256(self.change.area + b"\0" + self.change.path).hexdigest()
        return f".{self.job}.{key[:16]}.".encode() + suffix

    @property
    def staged(self) -> bytes:
        return self._hidden(b"merging")

    @property
    def saved(self) -> bytes:
        return self._hidden(b"replaced")

    def item(
        self, outcome: Outcome, placed: bytes | None = None, why: str = ""
    ) -> Item:
        """Say what became of it; ``placed`` is relative to the area."""
        return Item(
            self.area + b"/" + self.change.path,
            outcome,
            None if placed is None else self.area + b"/" + placed,
            why,
        )

    def place(self, spot: Spot) -> Item:
        """Do whatever is right, from the beginning.

        Raises:
            RefusedError: it cannot be done here.
            OSError: as the file system says.
        """
        why = ""
        for _ in range(TRIES):
            kept = self._start_over(spot)
            if kept is not None:
                why = f"an edit made meanwhile is kept as {to_text(kept)!r}"
            item = self._attempt(spot, why)
            if item is not None:
                return item
        raise RefusedError("somebody changes it all the time")

    def resume(self, spot: Spot, last: dict[str, Any]) -> Item | None:
        """Finish what a killed merge had begun; ``None``: it has to begin again."""
        if last["step"] != "staged":
            self._start_over(spot)
            return None
        self._take_up_saved(spot)
        hidden = observe(self.staged, folder=spot.handle)
        item = Item.from_json(last["item"])
        if hidden is None:
            return item
        if item.outcome is Outcome.REPLACED and not hidden.is_same_content(self.theirs):
            expected = State.from_json(last["expected"])
            if _discard(self.staged, expected, spot.handle):
                return item
        self._start_over(spot)
        return None

    def _attempt(self, spot: Spot, why: str) -> Item | None:
        """Decide and act; ``None`` if somebody was quicker."""
        ours = observe(spot.name, folder=spot.handle)
        frozen = self.change.frozen
        if frozen is None and ours is not None:
            frozen = self.frozen_here(self.area + b"/" + spot.path, ours)
        decision = decide(frozen, self.theirs, ours, name=spot.name)
        mode = merged_mode(frozen, self.theirs, ours)
        moved = spot.path if spot.path != self.change.path else None
        if decision is Decision.SAME:
            return self.item(Outcome.SAME, moved, why)
        if decision is Decision.CHANGE_MODE:
            _change_mode(spot, mode)
            return self.item(Outcome.MODE_CHANGED, moved, why)
        if self.theirs.kind is Kind.FOLDER:
            return self._make_folder(spot, ours)
        if decision is Decision.REPLACE and _is_written(spot):
            decision, why = Decision.KEEP_BOTH, "somebody is writing to yours"
        self._stage(spot, mode)
        if decision is Decision.CREATE:
            outcome = Outcome.CREATED if moved is None else Outcome.KEPT_BOTH
            if moved is None and frozen is not None:
                why = why or "yours had been deleted meanwhile"
            return self._claim(spot, spot.name, self.item(outcome, moved, why))
        if decision is Decision.REPLACE:
            assert ours is not None
            return self._replace(spot, ours, self.item(Outcome.REPLACED, moved, why))
        return self._put_beside(spot, why)

    def _make_folder(self, spot: Spot, ours: State | None) -> Item | None:
        mode = self.theirs.mode | 0o700
        if ours is None:
            if not ensure_folder(spot.name, spot.handle, mode):
                return None
            return self.item(
                Outcome.CREATED, spot.path if spot.path != self.change.path else None
            )
        if ours.kind is Kind.LINK:
            raise RefusedError("it is a link here, not a folder")
        name = name_beside(spot.name, self.job)
        ensure_folder(name, spot.handle, mode)
        beside = Spot(spot.handle, spot.folder, name)
        found = observe(name, folder=spot.handle)
        if found is None or found.kind is not Kind.FOLDER:
            raise RefusedError("it is a file here, and so is the name beside it")
        return self.item(Outcome.KEPT_BOTH, beside.path, "yours is a file")

    def _claim(self, spot: Spot, name: bytes, item: Item) -> Item | None:
        """Give the staged file a free name; ``None`` if it is taken."""
        self._write("staged", spot, item=item.to_json())
        try:
            rename_to_free(self.staged, name, spot.handle)
        except FileExistsError:
            return None
        return item

    def _put_beside(self, spot: Spot, why: str) -> Item:
        attempt = 0
        while True:
            name = name_beside(spot.name, self.job, attempt)
            beside = Spot(spot.handle, spot.folder, name)
            item = self.item(Outcome.KEPT_BOTH, beside.path, why)
            there = observe(name, folder=spot.handle)
            if there is not None and there.is_same_content(self.theirs):
                self._start_over(spot)
                return item
            if there is None and self._claim(spot, name, item) is not None:
                return item
            attempt += there is not None

    def _replace(self, spot: Spot, ours: State, item: Item) -> Item | None:
        self._write("staged", spot, item=item.to_json(), expected=ours.to_json())
        try:
            exchange(self.staged, spot.name, self.saved, spot.handle)
        except FileNotFoundError:
            return None
        return item if _discard(self.staged, ours, spot.handle) else None

    def _stage(self, spot: Spot, mode: int) -> None:
        """Write the job's version under its hidden name, whole and on the disk.

        Raises:
            RefusedError: it is not any more what the job had made.
        """
        part = self._hidden(b"part")
        _remove(part, spot.handle)
        try:
            got = self._write_part(part, spot.handle, mode)
        except OSError:  # no space: what is there of it would only be in the way
            _remove(part, spot.handle)
            raise
        if not got.is_same_content(self.theirs):
            _remove(part, spot.handle)
            raise RefusedError("it was changed in the job's folder after it landed")
        os.rename(part, self.staged, src_dir_fd=spot.handle, dst_dir_fd=spot.handle)

    def _write_part(self, part: bytes, folder: int, mode: int) -> State:
        try:
            if self.theirs.kind is Kind.LINK:
                target = os.readlink(self.landed)  # noqa: PTH115 - a Path has no bytes
                os.symlink(target, part, dir_fd=folder)
                return State.link(target)
            source = open_file(self.landed)
        except OSError as error:
            raise RefusedError(
                f"it cannot be read in the job's folder: {error.strerror}"
            ) from error
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with source:
            handle = os.open(part, flags, 0o600, dir_fd=folder)
            with os.fdopen(handle, "wb") as file:
                sha256, size = copy(source, file)
                os.fchmod(handle, mode)
                os.fsync(handle)
        return State.file(mode, size, sha256)

    def _start_over(self, spot: Spot) -> bytes | None:
        """Empty the hidden names; what is the person's gets its own name back.

        Returns the name of an edit for which there was no other place.
        """
        _remove(self._hidden(b"part"), spot.handle)
        self._take_up_saved(spot)
        for _ in range(TRIES):
            hidden = observe(self.staged, folder=spot.handle)
            if hidden is None:
                return None
            # From now on an empty hidden name does not mean that it was placed.
            self._write("again", spot)
            if hidden.is_same_content(self.theirs):
                if _discard(self.staged, hidden, spot.handle):
                    return None
                break
            if self._give_back(spot):
                return None
        attempt = 0
        while True:
            name = name_beside(spot.name, f"{self.job}.yours", attempt)
            try:
                rename_to_free(self.staged, name, spot.handle)
            except FileExistsError:
                attempt += 1
            else:
                return name

    def _give_back(self, spot: Spot) -> bool:
        """Try to give what is hidden its name; return whether nothing is hidden now."""
        here = observe(spot.name, folder=spot.handle)
        if here is None:
            try:
                rename_to_free(self.staged, spot.name, spot.handle)
            except FileExistsError:
                return False
            return True
        if here.is_same_content(self.theirs):
            try:
                exchange(self.staged, spot.name, self.saved, spot.handle)
            except FileNotFoundError:
                return False
        return False

    def _take_up_saved(self, spot: Spot) -> None:
        """Go on with an exchange that was done in three steps and killed in one."""
        if observe(self.saved, folder=spot.handle) is None:
            return
        if observe(self.staged, folder=spot.handle) is None:
            os.rename(
                self.saved, self.staged, src_dir_fd=spot.handle, dst_dir_fd=spot.handle
            )
        else:
            _remove(self.saved, spot.handle)  # a second name of what is still there

    def _write(self, step: str, spot: Spot, **data: Any) -> None:
        self.journal.write(self.about, step, at=to_text(spot.path), **data)


def _discard(name: bytes, expected: State, folder: int) -> bool:
    """Remove what is as expected and written to by nobody; return whether it was."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if kind_of(found.st_mode) is not expected.kind:
        return False
    if expected.kind is Kind.LINK:
        now = observe(name, folder=folder)
        if now is None or not now.is_same_content(expected):
            return False
        os.unlink(name, dir_fd=folder)
        return True
    with open_file(name, folder=folder) as file:
        if not hold_against_writers(file.fileno()):
            return False
        sha256, _ = digest_of(file)
        if sha256 != expected.content:
            return False
        os.unlink(name, dir_fd=folder)
    return True


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


def _remove(name: bytes, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
