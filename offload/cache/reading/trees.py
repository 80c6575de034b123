"""Trees: a folder of the repository as files on disk, made once, checked at each use.

In the cache's own folder files are hard links to the store's contents: nobody but the
cache's user may write there, and jobs see it bound read-only; who writes in spite of all
leaves a trace in the file's time, and the file is replaced. Anywhere else, and where
their owner may not read them, they are copies.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.reading import records
from offload.cache.reading.building import Rows, build
from offload.cache.reading.errors import ReadingError
from offload.cache.reading.locking import Locks
from offload.cache.reading.mending import put_back
from offload.cache.reading.placing import Placer
from offload.cache.reading.records import File, Placed
from offload.cache.reading.store import Content, Store
from offload.cache.receiving import room
from offload.cache.removal import remove_tree, throw_away
from offload.cache.writing import replace_file


class Trees:
    """``FOLDER/NAME`` with ``NAME.record`` and ``NAME.verified`` beside it.

    The record's time is when the tree was last used; the other's, when all its bytes
    were last read.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        placer: Placer,
        locks: Locks,
        connections: int,
    ) -> None:
        self._folder = folder
        self._store = store
        self._placer = placer
        self._locks = locks
        self._connections = connections
        self.trash = folder.parent / "trash"
        """Where what is given up waits for its removal."""
        for path in (folder, self.trash):  # a full disk takes no new folder
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a tree is, or would be."""
        return self._folder / name

    def has(self, name: str) -> bool:
        """Whether a tree is there, whole as far as its making goes."""
        return self._record(name).exists() and self.path(name).exists()

    def names(self) -> list[str]:
        """Return all trees' names."""
        return [p.stem for p in self._folder.glob("[!.]*.record")]

    def used(self, name: str) -> float:
        """Return when a tree was last used: Unix time; 0 if it is gone."""
        try:
            return self._record(name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def contents(self, name: str) -> list[Content]:
        """Return what each of a tree's files holds; nothing if its record is damaged."""
        entries = self._entries(name) or ()
        return [entry.content for entry in entries if isinstance(entry, File)]

    def ensure(self, name: str, rows: Callable[[], Rows], verify_s: float) -> Path:
        """Return a tree as the repository has it: made, checked or mended.

        Args:
            name: of the tree: what it must look like never changes.
            rows: asked for only if something is to be made or mended.
            verify_s: all bytes are read if nobody has for so long.

        Raises:
            ReadingError: what is lacking or damaged cannot be had.
            NoSpaceError: it does not fit.
        """
        place = self.path(name)
        entries = self._entries(name)
        if entries is None or not place.exists():
            with self._locks.held(f"tree {name}"):
                if self._entries(name) is None or not place.exists():
                    self._make(name, rows())
            return place
        reads_all = self._is_due(name, verify_s)
        self.mend(name, entries, rows, reads_all=reads_all)
        with suppress(FileNotFoundError):
            os.utime(self._record(name))
        return place

    def mend(
        self,
        name: str,
        entries: Sequence[Placed],
        rows: Callable[[], Rows],
        *,
        reads_all: bool,
    ) -> int:
        """Replace what is not as it was put there; return how many entries that were.

        Each is replaced in one step, so that running jobs go on.
        """
        place = self.path(name)
        wrong = list(records.differences(place, entries, reads_all=reads_all))
        if wrong:
            with room(self._folder), self._locks.held(f"tree {name}"):
                wrong = list(records.differences(place, entries, reads_all=reads_all))
                self._store.distrust()
                put_back(place, entries, wrong, rows, self._placer)
        if reads_all:
            self._stamp(name)
        return len(wrong)

    def copy(self, rows: Rows, target: Path) -> None:
        """Make a folder of copies; it must not exist, and appears at once.

        Raises:
            ReadingError: there is something already.
        """
        draft = target.with_name(f".{target.name}.offload-draft")
        with room(target.parent), self._locks.held(f"copy {target.absolute()}"):
            if target.exists() or target.is_symlink():
                raise ReadingError(f"{target}: exists already; choose another folder")
            try:
                if draft.exists():
                    remove_tree(draft)  # of one that was killed
                build(draft, rows, self._placer.copy, self._connections)
                draft.rename(target)
            finally:
                with suppress(FileNotFoundError):
                    remove_tree(draft)

    def discard(self, name: str) -> None:
        """Move a tree away, first of all its record: it is not there any more."""
        self._record(name).unlink(missing_ok=True)
        self._verified(name).unlink(missing_ok=True)
        throw_away(self.path(name), self.trash)

    def drop_halves(self, is_old: Callable[[Path], bool]) -> None:
        """Move away what belongs to no tree and is not being made into one."""
        for path in self._folder.iterdir():
            name = path.name.lstrip(".").partition(".")[0]
            if self._is_half(path, name) and is_old(path):
                with self._locks.tried(f"tree {name}") as is_left:
                    if is_left and self._is_half(path, name):
                        throw_away(path, self.trash)

    def _is_half(self, path: Path, name: str) -> bool:
        return path.name.startswith(".") or not self._record(name).exists()

    def entries(self, name: str) -> list[Placed]:
        """Return what a tree must look like; nothing if that is not known."""
        return self._entries(name) or []

    def _entries(self, name: str) -> list[Placed] | None:
        try:
            return records.read(self._record(name).read_bytes())
        except (FileNotFoundError, DamagedObjectError):
            return None

    def _make(self, name: str, rows: Rows) -> None:
        place = self.path(name)
        draft = place.with_name(f".{name}.{secrets.token_hex(4)}.draft")
        try:
            with room(self._folder):
                entries = build(draft, rows, self._placer.link, self._connections)
                if place.exists():  # without a good record: what it is, nobody knows
                    self.discard(name)
                draft.rename(place)
                try:
                    self._stamp(name)
                    # Last: it makes it a tree.
                    replace_file(self._record(name), records.write(entries))
                except BaseException:
                    self.discard(name)
                    raise
        finally:
            with suppress(FileNotFoundError):
                remove_tree(draft)

    def _is_due(self, name: str, verify_s: float) -> bool:
        try:
            verified = self._verified(name).stat().st_mtime
        except FileNotFoundError:
            return True
        return time.time() - verified >= verify_s

    def _stamp(self, name: str) -> None:
        self._verified(name).touch(mode=0o600)

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.record"

    def _verified(self, name: str) -> Path:
        return self._folder / f"{name}.verified"
