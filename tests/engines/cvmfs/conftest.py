"""Repositories behind a real squid, mounted by a client that is not ours."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"cvmfs_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load(HERE / "client.py")
engines = load(HERE.parent / "sitecache" / "engines.py")


@pytest.fixture(scope="session")
def built() -> Path:
    """The client; where it can be built, it must be."""
    if not Path("/dev/fuse").exists() or shutil.which("fusermount3") is None:
        pytest.skip("there is no FUSE here")
    if client.cargo() is None and not client.place().exists():
        pytest.skip("there is no cargo here")
    return client.build()


@pytest.fixture
def mounted(built: Path, tmp_path: Path):
    """Mount what a folder holds, through a squid; yields the mount point."""
    if engines.SQUID is None:
        pytest.skip("there is no squid here")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(engines.squid(tmp_path / "squid"))

        def mount(public: Path):
            origin = engines.Origin(public)
            stack.callback(origin.close)
            number = len(list(tmp_path.glob("mount*")))
            point = tmp_path / f"mount{number}"
            cache = tmp_path / f"cache{number}"
            point.mkdir()
            cache.mkdir()
            stack.enter_context(running(built, origin.url, port, point, cache))
            return point, origin

        yield mount


@contextlib.contextmanager
def running(
    built: Path, url: str, proxy: int, point: Path, cache: Path
) -> Iterator[None]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
    }
    process = subprocess.Popen(
        [built, url, point, cache],
        env=environment | {"http_proxy": f"http://127.0.0.1:{proxy}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while not point.is_mount():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline, "it is not mounted"
            time.sleep(0.05)
        yield
    finally:
        subprocess.run(["fusermount3", "-u", "-z", point], check=False)
        process.kill()
        process.communicate()
