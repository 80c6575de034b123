"""Reads files and packs them into a layer, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from offload.snapshot.image import Layer
from offload.snapshot.layer import LayerWriter
from offload.snapshot.packing import Pack, content_key
from offload.snapshot.progress import Meter
from offload.snapshot.reading import (
    GoneError,
    OpenFile,
    State,
    TornError,
    attempts,
    opened,
)
from offload.snapshot.store import LocalStore
from offload.snapshot.survey import Found, look
from offload.snapshot.tree import Entry, Kind

_WHOLE = 4 << 20
"""Largest file, in bytes, that is read before anything of it is written."""
_PIECE = 1 << 20

Stop = Callable[[], bool]


class StoppedError(Exception):
    """Another layer failed: this one is not wanted any more."""


@dataclass(slots=True)
class Packed:
    """What became of a pack."""

    layer: Layer | None = None
    """None if nothing of it was new."""
    content: str = ""
    """See :func:`content_key`."""
    entries: list[Entry] = field(default_factory=list)
    """What it was found to be, also what was not new."""
    size: int = 0
    """Bytes of the files in the layer."""
    contents: list[tuple[State, str]] = field(default_factory=list)
    """States of files that may be remembered."""


def pack_layer(store: LocalStore, pack: Pack, meter: Meter, stop: Stop) -> Packed:
    """Make a layer of what is there now.

    Raises:
        UnreadableError: a file may not be read.
        ChangingError: a file changed each time it was read.
        NoSpaceError: the disk is full.
        StoppedError: ``stop`` says so.
    """
    with LayerWriter(store, pack.role) as layer:
        run = _Run(pack, layer)
        for found in pack.found:
            if stop():
                raise StoppedError
            entry = run.take(found)
            if entry is not None:
                run.packed.entries.append(entry)
            meter.add(found.kind is Kind.FILE, found.size)
        for path in pack.removed:
            layer.remove(path)
        if run.written or pack.removed or not pack.below:
            run.packed.content = content_key(pack.role, run.written, pack.removed)
            run.packed.layer = layer.commit()
    return run.packed


class _Run:
    """One layer in the making."""

    def __init__(self, pack: Pack, layer: LayerWriter) -> None:
        self._pack = pack
        self._layer = layer
        self.packed = Packed()
        self.written: list[Entry] = []

    def take(self, found: Found) -> Entry | None:
        """Add one path; None if it is gone."""
        full = self._pack.root + b"/" + found.path
        if found.kind is not Kind.FILE:
            return self._keep(found.entry())
        for number in attempts(full):
            if number:
                again = look(self._pack.root, found.path)
                if not isinstance(again, Found):
                    return None
                if again.kind is not Kind.FILE:
                    return self._keep(again.entry())
            try:
                with opened(full) as file:
                    entry = self._read(found.path, file)
            except (GoneError, TornError):
                continue
            if file.is_settled:
                self.packed.contents.append((file.state, entry.sha256))
            return entry
        raise AssertionError  # attempts never ends without an error

    def _keep(self, entry: Entry, content: bytes = b"") -> Entry:
        if self._pack.below.get(entry.path) != entry:
            self._layer.add(entry, content)
            self._note(entry)
        return entry

    def _note(self, entry: Entry) -> None:
        self.written.append(entry)
        self.packed.size += entry.size

    def _read(self, path: bytes, file: OpenFile) -> Entry:
        if file.size <= _WHOLE:
            data = file.read_all()
            sha256 = hashlib.sha256(data).hexdigest()
            return self._keep(
                Entry(path, Kind.FILE, file.mode, file.size, sha256), data
            )
        below = self._pack.below.get(path)
        if below is not None and below.size == file.size:
            entry = Entry(path, Kind.FILE, file.mode, file.size, _hash(file))
            if entry == below:
                return entry
            file.rewind()
        return self._stream(path, file)

    def _stream(self, path: bytes, file: OpenFile) -> Entry:
        mark = self._layer.mark()
        sha = hashlib.sha256()
        try:
            self._layer.begin(path, file.mode, file.size)
            for piece in file.pieces(_PIECE):
                sha.update(piece)
                self._layer.append(piece)
            self._layer.finish(file.size)
        except TornError:
            self._layer.back_to(mark)
            raise
        entry = Entry(path, Kind.FILE, file.mode, file.size, sha.hexdigest())
        self._note(entry)
        return entry


def _hash(file: OpenFile) -> str:
    sha = hashlib.sha256()
    for piece in file.pieces(_PIECE):
        sha.update(piece)
    return sha.hexdigest()
