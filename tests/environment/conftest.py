"""Environments to describe: real virtual environments with hand-made contents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

LONG_AGO_NS = 1_700_000_000 * 10**9


@dataclass(frozen=True)
class Prefix:
    """A virtual environment whose ``dist-info`` directories are written by hand."""

    path: Path

    @property
    def site(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.path / "lib" / version / "site-packages"

    def install(
        self,
        name: str,
        version: str,
        *,
        installer: str | None = "pip",
        direct_url: Mapping[str, object] | None = None,
        record: str = "",
    ) -> Path:
        """Leave what an installer leaves behind, but for the code."""
        path = self.site / f"{name}-{version}.dist-info"
        path.mkdir()
        (path / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (path / "RECORD").write_text(record)
        if installer is not None:
            (path / "INSTALLER").write_text(f"{installer}\n")
        if direct_url is not None:
            (path / "direct_url.json").write_text(json.dumps(direct_url))
        return path

    def settle(self) -> None:
        """Let all directories have changed long ago, as a cache wants it."""
        settle(self.site)


def settle(path: Path) -> None:
    """Give a directory or file a modification time of long ago."""
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache of its own; where its files are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "analysis-facility" / "environment"


MakePrefix = Callable[..., Prefix]


@pytest.fixture
def make_prefix(tmp_path: Path) -> MakePrefix:
    """Make a real virtual environment without any distribution."""

    def make(name: str = "env", *options: str) -> Prefix:
        path = tmp_path / name
        command = [sys.executable, "-m", "venv", "--without-pip", *options, path]
        subprocess.run(command, check=True)
        return Prefix(path)

    return make
