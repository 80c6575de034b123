"""Servers of files on loopback, and small files to serve."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import awkward as ak
import numpy as np
import pytest
import uproot

from facility.local.ports import choose_ports
from tests.engines.columnar.file_server import FileServer

EVENTS = 4000


def columns(events: int = EVENTS, seed: int = 3) -> dict[str, ak.Array]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, events)
    total = int(counts.sum())
    return {
        "nMuon": counts.astype(np.int32),
        "Muon_pt": ak.unflatten(rng.exponential(30, total).astype(np.float32), counts),
        "Muon_eta": ak.unflatten(rng.normal(0, 1, total).astype(np.float32), counts),
        "MET_pt": rng.exponential(40, events).astype(np.float32),
    }


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """A folder that any user may enter: pytest's own is closed to servers."""
    with TemporaryDirectory(prefix="columnar-") as name:
        base = Path(name)
        base.chmod(0o755)
        yield base


@pytest.fixture(scope="session")
def folder(base) -> Path:
    """A TTree, an RNTuple and a Parquet file, and one that is none of them."""
    folder = base / "served"
    folder.mkdir(mode=0o755)
    made = columns()
    with uproot.recreate(folder / "tree.root", compression=uproot.ZSTD(3)) as file:
        tree = file.mktree("Events", {k: ak.type(v).content for k, v in made.items()})
        for start in range(0, EVENTS, 1000):
            tree.extend({k: v[start : start + 1000] for k, v in made.items()})
    with uproot.recreate(folder / "ntuple.root") as file:
        file.mkrntuple("Events", made)
    ak.to_parquet(
        ak.zip(made, depth_limit=1), folder / "table.parquet", row_group_size=1000
    )
    (folder / "noises.root").write_bytes(b"this is not ROOT, whatever it is called")
    return folder


@pytest.fixture(scope="session")
def made() -> dict[str, ak.Array]:
    return columns()


@pytest.fixture
def http(folder) -> Iterator:
    server = FileServer(folder)
    yield server
    server.close()


class XRootD:
    """A real xrootd that serves a folder, read-only, and can be killed."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self._base = base
        # None that the kernel gives somebody while the server is restarted.
        self.port = choose_ports(str(base), "127.0.0.1", 0, None).hub
        self.url = f"root://localhost:{self.port}//data"
        root = base / "root"
        root.mkdir()
        (root / "data").symlink_to(folder)
        (base / "x.cfg").write_text(
            f"all.export /data r/o\noss.localroot {root}\nall.adminpath {base}/admin\n"
            f"all.pidpath {base}/admin\nxrd.port {self.port}\nxrd.network nodnr\n"
        )
        # It refuses to be root.
        self._user = ["-R", "nobody"] if os.geteuid() == 0 else []
        if self._user:
            shutil.chown(base, "nobody")
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = ["xrootd", *self._user, "-c", self._base / "x.cfg"]
        # Without a file for its pid it leaves one in /tmp.
        command += ["-l", self._base / "log", "-s", self._base / "pid"]
        self._process = subprocess.Popen(
            command,
            cwd=self._base,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self._base)},
        )
        deadline = time.monotonic() + 100
        while True:
            try:
                socket.create_connection(("localhost", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return "\n".join(
            p.read_text(errors="replace")
            for p in self._base.rglob("log")
            if p.is_file()
        )


@pytest.fixture(scope="session")
def xrootd(folder, base) -> Iterator[XRootD]:
    own = base / "xrootd"
    own.mkdir(mode=0o755)
    server = XRootD(folder, own)
    server.start()
    yield server
    server.kill()
