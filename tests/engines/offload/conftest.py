"""A person's home with a real Slurm behind it: ``home``."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from tests.engines.offload.home import Home
from tests.engines.offload.killing import Runs
from tests.engines.offload.small import make_environment
from tests.engines.offload.witness import Witness
from tests.engines.slurm.conftest import slurm, start_slurm

__all__ = ["slurm", "start_slurm"]


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a small virtual environment, which every job takes along."""
    return make_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="session")
def make_python(tmp_path_factory: pytest.TempPathFactory):
    """Make another, with distributions: ``make_python("nbclient")``."""

    def make(*requirements: str) -> Path:
        prefix = tmp_path_factory.mktemp("environment") / "venv"
        return make_environment(prefix, requirements)

    return make


@pytest.fixture
def home(slurm):
    """An agent with the sites ``here`` and ``cluster``; see ``home.py``."""
    with Home(slurm) as running:
        yield running


@pytest.fixture(scope="module")
def shared_home(slurm):
    """The same for tests of a module that break nothing."""
    with Home(slurm) as running:
        yield running


@pytest.fixture
def start_home():
    """Start a home of one's own (arguments of ``Home``), ended afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Home(*args, **options))


@pytest.fixture
def witness():
    """Counts how often jobs begin; see ``witness.py``."""
    with Witness() as running:
        yield running


@pytest.fixture
def make_runs(home, slurm, witness, python):
    """Jobs while who carries them is killed; see ``killing.py``."""
    return lambda: Runs(home, slurm, witness, python)


@pytest.fixture
def tiny():
    """Mount a file system of few bytes: ``tiny(folder, "4m")``; again: its new size."""
    mounted = []

    def mount(folder: Path, size: str) -> None:
        options = f"size={size},mode=700"
        if folder in mounted:
            options = f"remount,{options}"
        else:
            folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"{folder} cannot be mounted: {done.stderr.strip()}"
            pytest.skip(message)
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", "--lazy", folder], check=True)
