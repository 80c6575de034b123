"""A virtual environment with wheels as an installer puts them there, made by hand."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def hashed(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Installation:
    """An environment below a folder whose name nobody else may learn."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", prefix], check=True
        )
        self.site = prefix / f"lib/python{VERSION}/site-packages"

    def install(
        self,
        name: str,
        contents: Mapping[str, bytes],
        *,
        version: str = "1.0",
        installer: str = "pip",
        classifier: str = "Topic :: Software Development",
        tag: str = "py3-none-any",
        written: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Install a wheel; return its metadata's folder.

        Args:
            contents: what the wheel holds, by path relative to site-packages.
            written: what the installer adds to it, recorded with a hash.
        """
        info = f"{name}-{version}.dist-info"
        metadata = (
            f"Name: {name}\nVersion: {version}\nClassifier: {classifier}\n\nHi.\n"
        )
        files = {
            **contents,
            f"{info}/METADATA": metadata.encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode(),
            f"{info}/INSTALLER": f"{installer}\n".encode(),
            f"../../../bin/{name}": f"#!{self.prefix}/bin/python\n".encode(),
            **(written or {}),
        }
        rows = []
        for path, content in files.items():
            place = Path(os.path.normpath(self.site / path))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            rows.append(f"{path},{hashed(content)},{len(content)}")
        rows += [f"{info}/RECORD,,", f"{name}/__pycache__/x.cpython-{VERSION}.pyc,,"]
        (self.site / info / "RECORD").write_text("\n".join(rows) + "\n")
        return self.site / info


@pytest.fixture(scope="session")
def installation() -> type[Installation]:
    return Installation
