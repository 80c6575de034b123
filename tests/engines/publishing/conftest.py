"""A real registry that tells a real publisher of pushes; images made by others' rules."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.publishing import house


@pytest.fixture
def make_process() -> Iterator:
    started: list[house.Process] = []

    def make(folder: Path, command: list[str | Path], path: str) -> house.Process:
        process = house.Process(folder, house.free_ports().hub, command, path)
        started.append(process)
        return process

    yield make
    for process in started:
        process.stop()


@pytest.fixture
def make_house(tmp_path: Path, monkeypatch) -> Iterator:
    for tool in house.TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    # No login of whoever runs the tests.
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with house.houses(tmp_path) as make:
        yield make


class MadeTree:
    """A folder that becomes images (OCI layouts), layer by layer, made by umoci's rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()

    def image(self, *layers: Path) -> str:
        """Return an OCI layout, ``oci:FOLDER:x``, whose layers hold these folders."""
        blobs = self.folder / "blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)

        def put(data: bytes, kind: str) -> dict[str, object]:
            name = hashlib.sha256(data).hexdigest()
            (blobs / name).write_bytes(data)
            return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(data)}

        kind = "application/vnd.oci.image"
        packed, plain = [], []
        for layer in layers:
            data = subprocess.run(
                ["tar", "-C", layer, "--sort=name", "--mtime=@0", "-c", "."],
                check=True,
                capture_output=True,
            ).stdout
            plain.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
            data = subprocess.run(
                ["gzip", "-n1"], input=data, check=True, capture_output=True
            ).stdout
            packed.append(put(data, f"{kind}.layer.v1.tar+gzip"))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": put(json.dumps(config).encode(), f"{kind}.config.v1+json"),
            "layers": packed,
        }
        entry = put(json.dumps(manifest).encode(), f"{kind}.manifest.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": "x"}
        index = {"schemaVersion": 2, "manifests": [entry]}
        (self.folder / "index.json").write_text(json.dumps(index))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return f"oci:{self.folder}:x"


@pytest.fixture
def made(tmp_path: Path) -> MadeTree:
    return MadeTree(tmp_path / "layout")
