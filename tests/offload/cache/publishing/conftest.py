"""Layers and images made by other tools than ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from offload import zstd

ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
}


def tar_of(*members: tuple[str, object], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Make an archive: text ends in / for a folder; bytes, a link's target, a type."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            if isinstance(what, tarfile.TarInfo):
                info = what
                archive.addfile(info)
            elif isinstance(what, bytes):
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
            elif isinstance(what, str):
                info.type, info.linkname = tarfile.SYMTYPE, what
                archive.addfile(info)
            elif isinstance(what, tuple):
                info.type, info.linkname = what
                archive.addfile(info)
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
    return stream.getvalue()


@dataclass
class MadeImage:
    """An image's blobs by digest."""

    manifest: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image_of(
    *layers: bytes,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    form: str = "gzip",
) -> MadeImage:
    packed = [ARCHIVES[form](layer) for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": labels or {}},
            "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]},
        }
    ).encode()
    suffix = {"tar": "", "gzip": "+gzip", "zstd": "+zstd"}[form]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": f"application/vnd.oci.image.layer.v1.tar{suffix}",
                "digest": digest(each),
                "size": len(each),
            }
            for each in packed
        ],
        **({"annotations": annotations} if annotations else {}),
    }
    blobs = {digest(each): each for each in (config, *packed)}
    return MadeImage(json.dumps(manifest).encode(), blobs)


@pytest.fixture
def make_tar():
    return tar_of


@pytest.fixture
def make_image():
    return image_of


@pytest.fixture
def archives():
    return ARCHIVES


@pytest.fixture
def blob(tmp_path: Path):
    """Write bytes to a file and open it, as a spool would."""

    def opened(data: bytes):
        path = tmp_path / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return path.open("rb", buffering=0)

    return opened
