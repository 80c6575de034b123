"""A person's home beside a real registry, a publisher and sites that read through squid."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.cvmfs import client
from tests.engines.cvmfs.conftest import built
from tests.engines.environments_published.way import Way, index_of
from tests.engines.offload.small import make_environment
from tests.engines.publishing.conftest import make_house
from tests.engines.sitecache import engines
from tests.engines.slurm.conftest import slurm
from tests.environment.wheel_server import Index

__all__ = ["built", "make_house", "slurm"]

MARKER = "q4Xv-of-the-owner-alone"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with public and with private things in it."""
    folder = tmp_path_factory.mktemp(MARKER)
    interpreter = make_environment(folder / "env", ["jinja2", "pygments"])
    (site,) = (folder / "env").glob("lib/python3*/site-packages")
    project = folder / "mine"
    (project / "mine").mkdir(parents=True)
    (project / "pyproject.toml").write_text(f"# {MARKER}\n")
    (project / "mine/__init__.py").write_text(f"word = '{MARKER}'\n")
    (site / "mine.pth").write_text(f"{project}\n# {MARKER}\n")
    (folder / "env/bin/run").write_text(f"#!{interpreter}\n# {MARKER}\n")
    with (folder / "env/pyvenv.cfg").open("a") as file:
        file.write(f"prompt = {MARKER}\n")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(
        [interpreter, "-c", "import jinja2, mine"], env=environment, check=True
    )
    return interpreter


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with nothing in it."""
    return make_environment(tmp_path_factory.mktemp("plain") / "env")


@pytest.fixture(scope="session")
def index(python: Path) -> Iterator[Index]:
    """The public index that the environment's distributions are from."""
    with index_of(python) as index:
        yield index


@pytest.fixture
def way(make_house, index: Index, tmp_path: Path) -> Iterator[Way]:
    if engines.SQUID is None:
        pytest.fail("squid is missing: run .ci/system-packages")
    house = make_house()
    with contextlib.ExitStack() as stack:
        house.registry.start()
        house.publisher.start()
        port = stack.enter_context(engines.squid(tmp_path / "squid"))
        yield Way(stack, house, port, index)


@pytest.fixture
def mount(way: Way, built: Path, tmp_path: Path):
    """Mount the repository by the independent client; returns where."""
    with contextlib.ExitStack() as stack:

        def mounted() -> Path:
            point, cache = tmp_path / "mount", tmp_path / "mount-cache"
            point.mkdir()
            cache.mkdir()
            url = way.reading()["urls"][0]
            stack.enter_context(client.running(built, url, way.squid, point, cache))
            return point

        yield mounted
