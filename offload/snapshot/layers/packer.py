"""Reads files and packs them into a layer, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from offload.snapshot.bytecode import is_bytecode, unchecked
from offload.snapshot.files.capture import PIECE, capture, hash_file
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.reading import OpenFile, TornError
from offload.snapshot.files.survey import Found
from offload.snapshot.layers.packing import Pack, content_key
from offload.snapshot.layers.published import judged
from offload.snapshot.layers.writing import LayerWriter
from offload.snapshot.model import Layer
from offload.snapshot.progress import Meter
from offload.snapshot.secrets.finding import Finding
from offload.snapshot.secrets.inspection import (
    END_BYTES,
    Suspect,
    inspect,
    inspect_ends,
)
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind

_WHOLE = 4 << 20
"""Largest file, in bytes, that is read before anything of it is written."""

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
    suspects: list[Suspect] = field(default_factory=list)
    contents: list[tuple[Fingerprint, Entry]] = field(default_factory=list)
    """Files whose content may be remembered."""


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
            run.take(found)
            meter.add(found.kind is Kind.FILE, found.size)
        for path in pack.removed:
            layer.remove(path)
        if run.written or pack.removed or not pack.below:
            run.packed.content = content_key(pack.role, run.written, pack.removed)
            made = layer.commit()
            run.packed.layer = judged(made, run.packed.entries, pack.published)
    return run.packed


class _Run:
    """One layer in the making."""

    def __init__(self, pack: Pack, layer: LayerWriter) -> None:
        self._pack = pack
        self._layer = layer
        self._is_bytecode = is_bytecode(pack.role)
        # One for all files: what is read stays in the processor's cache.
        self._buffer = memoryview(bytearray(_WHOLE + 1))
        self.packed = Packed()
        self.written: list[Entry] = []

    def take(self, found: Found) -> None:
        """Add one path, unless it is gone."""
        entry, fingerprint = capture(
            self._pack.root, found, lambda file: self._read(found.path, file)
        )
        if entry is None:
            return
        self.packed.entries.append(entry)
        if entry.kind is not Kind.FILE:
            self._add(entry)
        if fingerprint is not None:
            self.packed.contents.append((fingerprint, entry))

    def _add(self, entry: Entry, content: bytes | memoryview = b"") -> bool:
        if self._pack.below.get(entry.path) == entry:
            return False
        self._layer.add(entry, content)
        self._note(entry)
        return True

    def _suspect(self, entry: Entry, findings: list[Finding]) -> None:
        if findings:
            suspect = Suspect(entry.path, entry.sha256, tuple(findings))
            self.packed.suspects.append(suspect)

    def _note(self, entry: Entry) -> None:
        self.written.append(entry)
        self.packed.size += entry.size

    def _read(self, path: bytes, file: OpenFile) -> Entry:
        if file.size <= _WHOLE:
            data = file.read_into(self._buffer)
            if self._is_bytecode:
                data = memoryview(unchecked(bytes(data)))
            sha256 = hashlib.sha256(data).hexdigest()
            entry = Entry(path, Kind.FILE, file.mode, file.size, sha256)
            if self._add(entry, data) and self._pack.is_inspected:
                self._suspect(entry, inspect(path, data))
            return entry
        below = self._pack.below.get(path)
        if below is not None and below.size == file.size:
            entry = hash_file(path, file)
            if entry == below:
                return entry
            file.rewind()
        return self._stream(path, file)

    def _stream(self, path: bytes, file: OpenFile) -> Entry:
        mark = self._layer.mark()
        sha = hashlib.sha256()
        head = tail = b""
        try:
            self._layer.begin(path, file.mode, file.size)
            for piece in file.pieces(PIECE):
                sha.update(piece)
                self._layer.append(piece)
                head = head or bytes(piece[:END_BYTES])
                tail = (tail + bytes(piece[-END_BYTES:]))[-END_BYTES:]
            self._layer.finish(file.size)
        except TornError:
            self._layer.back_to(mark)
            raise
        entry = Entry(path, Kind.FILE, file.mode, file.size, sha.hexdigest())
        self._note(entry)
        if self._pack.is_inspected:
            self._suspect(entry, inspect_ends(path, head, tail))
        return entry
