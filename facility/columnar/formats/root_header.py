"""The first bytes of a ROOT file: who it is, and whether all of it is there."""

from __future__ import annotations

import struct
import uuid

from facility.columnar.errors import DatasetError
from facility.columnar.formats.base import FileIdentity
from facility.columnar.remote import Location, RemoteFile

# "ROOT file structure" in ROOT's TFile reference: magic, version, fBEGIN, fEND,
# fSeekFree, fNbytesFree, nfree, fNbytesName, fUnits, fCompress, fSeekInfo,
# fNbytesInfo, version of the UUID, UUID. Positions are longer in large files.
_SMALL = struct.Struct(">4siiiiiiiBiiiH16s")
_LARGE = struct.Struct(">4siiqqiiiBiqiH16s")
_FROM_LARGE = 1_000_000
_LATEST_BEGIN = 1000
"""Where the first record is: at 100, in the oldest files at 64."""


def identify_root(path: Location) -> FileIdentity:
    """Return the identity of a ROOT file, with its own UUID.

    Raises:
        DatasetError: it is truncated, or no ROOT file.
        OSError: it cannot be read.
    """
    identity = FileIdentity.of(path)
    size = identity.size_bytes
    wanted = min(size, _LARGE.size)
    if isinstance(path, str):
        head = bytes(RemoteFile(path).read([(0, wanted)])[0])
    else:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - half the time
            head = file.read(wanted)
    if len(head) < _LARGE.size:
        raise DatasetError(f"{path} is truncated: {size} bytes, less than a header")
    (version,) = struct.unpack_from(">i", head, 4)
    header = _LARGE if version >= _FROM_LARGE else _SMALL
    fields = header.unpack_from(head)
    begin, end, its_uuid = fields[2], fields[3], fields[-1]
    if not 0 < begin <= _LATEST_BEGIN:
        raise DatasetError(
            f"{path} begins with 'root', and the rest is no header of a ROOT file"
        )
    if size < end:
        raise DatasetError(
            f"{path} is truncated: its header declares {end} bytes, it has {size}; "
            "copy it again"
        )
    return FileIdentity(
        identity.path,
        str(uuid.UUID(bytes=its_uuid)),
        size,
        identity.modified_ns,
        identity.etag,
    )
