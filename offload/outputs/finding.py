"""Which paths are not as they were frozen. Reads only files whose stat has changed."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from offload.outputs.baseline import Baseline, Known
from offload.outputs.changes import LeftOut, What
from offload.outputs.globs import Declared
from offload.outputs.members import member_name
from offload.outputs.states import State, observe, to_bytes
from offload.outputs.walking import walk
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.tree import Kind

BYTECODE = b"__pycache__"
"""Not taken along unless frozen: Python makes it anew, and it names the site's paths."""


@dataclass(frozen=True, slots=True)
class Area:
    """A folder that the job could write to."""

    mount: str
    """Where the job saw it: an absolute path."""
    path: Path
    """Where it is here."""


@dataclass(frozen=True, slots=True)
class Found:
    """One path that changed and is there to be packed."""

    area: bytes
    path: bytes
    member: bytes
    """Its name in the pack."""
    source: bytes
    """Where it is here."""
    kind: Kind
    what: What
    frozen: State | None
    mode: int
    """Permissions, in terms of home: those of the copy may have differed."""
    declared: bool


@dataclass(slots=True)
class Search:
    """Looks through what a job may have written to; collects what it leaves out."""

    working: Area
    baseline: Baseline
    declared: Declared
    mountpoints: Container[bytes]
    left_out: list[LeftOut] = field(default_factory=list)
    _matched: set[str] = field(default_factory=set)
    _seen: set[bytes] = field(default_factory=set)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Globs that named nothing so far."""
        return tuple(g for g in self.declared.globs if g not in self._matched)

    def changed(self) -> Iterator[Found]:
        """Yield what was created or changed in the working folder."""
        mount = to_bytes(self.working.mount)
        for path, source, kind, found in self._walk(self.working, self.mountpoints):
            self._seen.add(path)
            known = self.baseline.paths.get(path)
            if known is None and BYTECODE in path.split(b"/"):
                continue
            declared = self._is_declared(mount, path)
            try:
                if known is not None and _is_same(known, source, kind, found):
                    continue
            except OSError as error:
                self._leave_out(mount, path, f"cannot be read: {error.strerror}")
                continue
            yield Found(
                area=mount,
                path=path,
                member=member_name(mount, path, mount),
                source=source,
                kind=kind,
                what=What.CREATED if known is None else What.CHANGED,
                frozen=None if known is None else known.frozen,
                mode=_mode(known, found),
                declared=declared,
            )

    def deleted(self) -> Iterator[tuple[bytes, State, bool]]:
        """Yield frozen paths that :meth:`changed` did not see any more."""
        mount = to_bytes(self.working.mount)
        unread = {one.path for one in self.left_out}
        for path, known in self.baseline.paths.items():
            if path in self._seen or self._is_below(path, mount, unread):
                continue
            yield path, known.frozen, bool(self.declared.matching(mount + b"/" + path))

    def elsewhere(self, areas: Sequence[Area]) -> Iterator[Found]:
        """Yield what the globs declare outside the working folder."""
        working = to_bytes(self.working.mount)
        for area in areas:
            mount = to_bytes(area.mount)
            wanted = [g for g in self.declared.globs if g.startswith(f"{area.mount}/")]
            if not wanted:
                continue
            inside = frozenset([working.removeprefix(mount + b"/")])
            for path, source, kind, found in self._walk(area, inside):
                if self._is_declared(mount, path) and BYTECODE not in path.split(b"/"):
                    yield Found(
                        area=mount,
                        path=path,
                        member=member_name(mount, path, working),
                        source=source,
                        kind=kind,
                        what=What.CREATED,
                        frozen=None,
                        mode=found.st_mode,
                        declared=True,
                    )

    def _walk(
        self, area: Area, without: Container[bytes]
    ) -> Iterator[tuple[bytes, bytes, Kind, os.stat_result]]:
        top, mount = os.fsencode(area.path), to_bytes(area.mount)
        for path, kind, found in walk(
            top,
            without=without,
            left_out=lambda path, why: self._leave_out(mount, path, why),
        ):
            yield path, top + b"/" + path, kind, found

    def _is_declared(self, mount: bytes, path: bytes) -> bool:
        globs = self.declared.matching(mount + b"/" + path)
        self._matched.update(globs)
        return bool(globs)

    def _leave_out(self, mount: bytes, path: bytes, why: str) -> None:
        self.left_out.append(LeftOut(mount + b"/" + path if path else mount, why))

    def _is_below(self, path: bytes, mount: bytes, unread: set[bytes]) -> bool:
        """Whether nobody looked there: a mount point, or a folder that is closed."""
        while path:
            if path in self.mountpoints or mount + b"/" + path in unread:
                return True
            path = path.rpartition(b"/")[0]
        return mount in unread


def _is_same(known: Known, source: bytes, kind: Kind, found: os.stat_result) -> bool:
    """Whether a path is as it was frozen; reads it only if stat cannot tell.

    Raises:
        OSError: it cannot be read.
    """
    frozen = known.frozen
    if kind is not frozen.kind:
        return False
    if known.copy is not None and Fingerprint.of(found).is_still(known.copy):
        return True
    if kind is not Kind.LINK and _mode(known, found) != frozen.mode:
        return False
    if kind is Kind.FILE and found.st_size != frozen.size:
        return False
    now = observe(source)
    return now is not None and now.is_same_content(frozen)


def _mode(known: Known | None, found: os.stat_result) -> int:
    """Return permissions, the frozen ones if the job did not change those it got."""
    mode = Fingerprint.of(found).mode
    if known is None or known.copy is None or known.copy.mode != mode:
        return mode
    return known.frozen.mode
