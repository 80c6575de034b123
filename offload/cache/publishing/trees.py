"""Turns a layer's archive into what a repository takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from offload.cache.cvmfs.items import Content, Item
from offload.cache.publishing.layers import LIMITS, LayerReader, Limits, Member
from offload.snapshot.tree import Kind

_PIECE = 1 << 20
_IN_MEMORY = 4 << 20
"""Bytes of a file with several names that are not put on the disk for that."""


class LayerTree:
    """What a layer holds; whiteouts are files whose name says so.

    Args:
        opened: opens the layer, from its start, as often as it is called.
        name: how errors call it.
        scratch: folder, where a large one that has several names lies for a moment.
        limits: what the layer may be at most.
    """

    def __init__(
        self,
        opened: Callable[[], BinaryIO],
        name: str,
        scratch: Path,
        limits: Limits = LIMITS,
    ) -> None:
        self._opened = opened
        self._name = name
        self._scratch = scratch
        self._limits = limits
        self.implied: list[bytes] = []
        """Folders below the root that the layer uses and does not have; complete after
        the items."""
        self._links: dict[bytes, list[Member]] = {}

    def items(self) -> Iterator[Item]:
        """Yield every path but implied folders, which repositories make themselves.

        The archive flows through; for hard links it is read once more.

        Raises:
            RefusedImageError: see :meth:`LayerReader.members`.
        """
        with self._opened() as file:
            reader = LayerReader(file, self._name, self._limits)
            for member in reader.members():
                if member.same_as is not None:
                    self._links.setdefault(member.same_as, []).append(member)
                elif member.is_implied:
                    if member.path:
                        self.implied.append(member.path)
                else:
                    yield _item(member, member.size, reader.content)
        if self._links:
            yield from self._hard_links()

    def _hard_links(self) -> Iterator[Item]:
        with self._opened() as file:
            reader = LayerReader(file, self._name, self._limits)
            for member in reader.members():
                others = self._links.get(member.path)
                if others is not None:
                    with self._kept(reader, member) as content:
                        for other in others:
                            yield _item(other, member.size, content)

    @contextmanager
    def _kept(self, reader: LayerReader, member: Member) -> Iterator[Content]:
        if member.size <= _IN_MEMORY:
            yield b"".join(reader.content())
            return
        # Without a name: of who is killed nothing is left.
        with TemporaryFile(dir=self._scratch, buffering=0) as file:
            for piece in reader.content():
                file.write(piece)

            def again() -> Iterator[bytes]:
                file.seek(0)
                while piece := file.read(_PIECE):
                    yield piece

            yield again


def _item(member: Member, size: int, content: Content) -> Item:
    is_file = member.kind is Kind.FILE
    return Item(
        member.path,
        member.kind,
        member.mode,
        size if is_file else 0,
        member.mtime,
        member.target,
        content if is_file else b"",
    )
