"""A person's home beside a real registry, a publisher and sites that read through squid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ENGINES = Path(__file__).parents[1]


def load(name: str):
    path = (ENGINES / f"{name}.py").resolve()
    key = f"published_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(key, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses look there for their module
    spec.loader.exec_module(module)
    return module


publishing = load("publishing/conftest")
cvmfs = load("cvmfs/conftest")
homes = load("offload/home")
small = load("offload/small")
engines = load("sitecache/engines")

wheels = load("../environment/wheel_server")

make_house = publishing.make_house
built = cvmfs.built
slurm = load("slurm/conftest").slurm

MARKER = "q4Xv-of-the-owner-alone"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with public and with private things in it."""
    folder = tmp_path_factory.mktemp(MARKER)
    interpreter = small.make_environment(folder / "env", ["jinja2", "pygments"])
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
    return small.make_environment(tmp_path_factory.mktemp("plain") / "env")


@pytest.fixture(scope="session")
def index(python: Path) -> Iterator[Any]:
    """The public index that the environment's distributions are from."""
    (site,) = python.parents[1].glob("lib/python3*/site-packages")
    with wheels.serving(wheels.Index()) as index:
        for info in site.glob("*.dist-info"):
            index.add(wheels.wheel_of(site, info.name))
        yield index


class Way:
    """All of it: registry, publisher, squid, and a home with sites."""

    def __init__(
        self, stack: contextlib.ExitStack, house: Any, squid: int, index: Any
    ) -> None:
        self._stack = stack
        self.index = index
        self.house = house
        self.squid = squid
        self.token = house.folder / "token"
        self.token.write_text(publishing.token_of("root", "of tokens"))
        self.token.chmod(0o600)
        self.key = house.settings.keys / f"{publishing.FQRN}.pub"

    def reading(self, **changes: Any) -> dict[str, Any]:
        """Return how a site reads the repository."""
        url = f"{self.house.publisher.url}/cvmfs/{publishing.FQRN}"
        return {
            "fqrn": publishing.FQRN,
            "urls": [url],
            "proxies": [f"http://127.0.0.1:{self.squid}"],
            "keys": [str(self.key)],
        } | changes

    def home(
        self,
        sites: Mapping[str, Mapping[str, Any]],
        *,
        slurm: Any = None,
        registry: bool = True,
        indexes: Sequence[str] | None = None,
    ) -> Any:
        """Start a home with sites on this machine, each with its repository."""
        store = f"http://{self.house.host}/people/environments" if registry else None
        declared = [
            {
                "name": name,
                "kind": "process" if slurm is None else "slurm",
                "repository": repository,
            }
            for name, repository in sites.items()
        ]
        return self._stack.enter_context(
            homes.Home(
                slurm,
                store=store,
                sites=declared,
                settings={
                    "publisher": self.house.publisher.url,
                    "publisher_token": str(self.token),
                    "public_store": store,
                    "public_indexes": indexes or [self.index.url],
                    "repository": publishing.FQRN,
                },
            )
        )


@pytest.fixture
def way(make_house, index: Any, tmp_path: Path) -> Iterator[Way]:
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
            stack.enter_context(cvmfs.running(built, url, way.squid, point, cache))
            return point

        yield mounted
