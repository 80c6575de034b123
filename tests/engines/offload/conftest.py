"""A person's home with a real Slurm behind it: ``home``."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


def _load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_engines = Path(__file__).parents[1]
slurm_fixtures = _load(_engines / "slurm/conftest.py", "offload_slurm_fixtures")
homes = _load(Path(__file__).with_name("home.py"), "offload_homes")

slurm = slurm_fixtures.slurm
start_slurm = slurm_fixtures.start_slurm


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a small virtual environment, which every job takes along."""
    prefix = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", "--without-pip", prefix], check=True
    )
    return prefix / "bin/python"


@pytest.fixture
def home(slurm):
    """An agent with the sites ``here`` and ``cluster``; see ``home.py``."""
    with homes.Home(slurm) as running:
        yield running


@pytest.fixture(scope="module")
def shared_home(slurm):
    """The same for tests of a module that break nothing."""
    with homes.Home(slurm) as running:
        yield running
