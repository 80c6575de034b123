"""The bytes of objects: compressed by zlib, checked before they are inflated."""

from __future__ import annotations

import hashlib
import hmac
from typing import cast

from zlib_ng import zlib_ng as zlib

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName

CHUNK_BYTES = 4 << 20
"""Files above it are stored in chunks of that size, the last one smaller."""
DEFAULT_LEVEL = 6
"""zlib's own default, and CernVM-FS's."""
_NO_STREAM = cast("type[Exception]", zlib.error)  # its stub says: an instance
_LARGEST = 256 << 20
"""Bytes of content of an object whose size nothing tells."""


def compress(data: bytes | memoryview, level: int = DEFAULT_LEVEL) -> bytes:
    """Return the bytes of the object for a content."""
    return zlib.compress(data, level)


def content_of(
    name: ObjectName, compressed: bytes | memoryview, size: int | None = None
) -> bytes:
    """Return an object's content; nothing is decompressed that is not genuine.

    Args:
        name: what it must be.
        compressed: its bytes.
        size: of the content, where that is known.

    Raises:
        DamagedObjectError: it is another object, or of another size.
    """
    found = hashlib.sha1(compressed, usedforsecurity=False)
    if not hmac.compare_digest(found.digest(), name.digest):
        raise DamagedObjectError(
            f"object {name}: its bytes have the digest {found.hexdigest()}"
        )
    most = _LARGEST if size is None else size
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(compressed, most + 1)
    except _NO_STREAM as error:
        raise DamagedObjectError(f"object {name}: {error}") from None
    if len(data) > most or stream.unused_data:
        raise DamagedObjectError(
            f"object {name}: goes on after {min(len(data), most):,} bytes of content"
        )
    if not stream.eof:
        raise DamagedObjectError(f"object {name}: does not end where it should")
    if size is not None and len(data) != size:
        raise DamagedObjectError(
            f"object {name}: expected {size:,} bytes of content, got {len(data):,}"
        )
    return data
