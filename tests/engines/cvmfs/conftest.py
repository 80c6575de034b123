"""Repositories behind a real squid, mounted by a client that is not ours."""

import contextlib
import shutil
from pathlib import Path

import pytest

from tests.engines.cvmfs import client
from tests.engines.sitecache import engines


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
            stack.enter_context(client.running(built, origin.url, port, point, cache))
            return point, origin

        yield mount
