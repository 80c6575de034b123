"""What a catalogue says of one path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.snapshot.tree import Kind

FOLDER_BYTES = 4096
"""The size that folders are given."""


class Chunk(NamedTuple):
    """A part of a large file."""

    offset: int
    size: int
    """Bytes of content."""
    digest: bytes
    """Of the object."""


class Row(NamedTuple):
    """One entry of a repository; the object of its content is named, not fetched."""

    name: bytes
    """Last part of its path; empty of the root."""
    kind: Kind
    mode: int
    """Permission bits; 0o777 of a link."""
    size: int
    """Bytes of a file's content."""
    mtime: int
    """Seconds since the epoch."""
    digest: bytes | None = None
    """Names the object of a file in one piece; None of all else."""
    target: bytes = b""
    """Of a link."""
    chunks: tuple[Chunk, ...] = ()
    """Of a large file: all its parts, in order."""
    is_mount_point: bool = False
    """A folder whose content a nested catalogue describes."""
    is_catalogue_root: bool = False
    """The folder that a nested catalogue begins with."""

    def objects(self) -> Iterator[ObjectName]:
        """Yield the objects that hold the content, in order."""
        if self.digest is not None:
            yield ObjectName(self.digest)
        for chunk in self.chunks:
            yield ObjectName(chunk.digest, Suffix.CHUNK)


class Nested(NamedTuple):
    """Where another catalogue takes over."""

    path: bytes
    """Absolute."""
    object: ObjectName
    size: int
    """Bytes of the catalogue, decompressed."""
