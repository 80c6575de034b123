"""Environments of every make, and a job without network that has only the snapshot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from offload.snapshot import LocalStore, Snapshot
from offload.snapshot.bytecode import is_bytecode
from offload.snapshot.layers.unpacking import unpack

REPOSITORY = Path(__file__).parents[3]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


BACKENDS = {
    "hatchling": """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        """,
    "setuptools": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        """,
}
METADATA = """
        [project]
        name = "physics"
        version = "1.2.3"
        [project.scripts]
        physics = "physics:main"
        """
SUITE = """
import importlib.metadata, importlib.resources, socket, sys, unittest
import physics

class Job(unittest.TestCase):
    def test_code_and_data_are_there(self):
        self.assertEqual(physics.mass(), 91.1876)
        data = importlib.resources.files("physics") / "constants.txt"
        self.assertEqual(data.read_text(), "91.1876")

    def test_what_is_installed_is_known(self):
        self.assertEqual(importlib.metadata.version("physics"), "1.2.3")

    def test_everything_is_where_it_was(self):
        self.assertEqual(sys.prefix, PREFIX)
        self.assertTrue(physics.__file__.startswith(HOME))

    def test_there_is_no_network(self):
        with self.assertRaises(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=1)
"""


def run(*command: str | Path, **more: object) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        **{"env": environment, **more},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Node:
    """A machine that has /usr and what a snapshot brings, and no network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, snapshot: Snapshot, store: LocalStore, *command: str | Path) -> str:
        """Run a command in the working folder with the snapshot's parts in place."""
        image = self._folder / snapshot.id.partition(":")[2][:12]
        parts = [part for part in snapshot.parts if not is_bytecode(part.role)]
        for part in parts:
            for layer in part.layers:
                unpack(store.blob_path(layer), image, digest=layer)
        binds: list[str | Path] = []
        # The shorter path first: one may lie in the other.
        for part in sorted(parts, key=lambda each: len(each.mount)):
            how = "--bind" if part.role == "code" else "--ro-bind"
            binds += [how, image / part.path_in_image, part.mount]
        code = snapshot.part("code")
        assert code is not None
        return run(
            "bwrap",
            *("--unshare-net", "--unshare-pid", "--die-with-parent", "--clearenv"),
            *("--ro-bind", "/usr", "/usr"),
            *(x for name in ("lib", "lib64", "bin") for x in _link(name)),
            *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
            *binds,
            *("--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
            *("--chdir", code.mount),
            *command,
        )


def _link(name: str) -> tuple[str, ...]:
    path = Path("/", name)
    return ("--symlink", str(path.readlink()), str(path)) if path.is_symlink() else ()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    if shutil.which("bwrap") is None:
        # On the machine that judges changes a missing engine is a failure.
        pytest.skip("no bubblewrap")
    return Node(tmp_path / "node")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return home


class Project:
    """A package of one's own, and what it takes to install it without an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, backend: str, layout: str) -> None:
        package = self.folder / ("src/physics" if layout == "src" else "physics")
        package.mkdir(parents=True)
        text = textwrap.dedent(BACKENDS[backend]) + textwrap.dedent(METADATA)
        if backend == "setuptools":
            text += '[tool.setuptools.package-data]\nphysics = ["*.txt"]\n'
        (self.folder / "pyproject.toml").write_text(text)
        (package / "constants.txt").write_text("91.1876")
        (package / "__init__.py").write_text(
            "from pathlib import Path\n"
            "def mass():\n"
            "    return float(Path(__file__).with_name('constants.txt').read_text())\n"
            "def main():\n"
            "    print('Z', mass())\n"
        )

    def install(self, prefix: Path, *, editable: bool = False) -> None:
        what = ["--editable", self.folder] if editable else [self.folder]
        # The build back-ends are those of the environment that runs the tests.
        place = str(Path(pytest.__file__).parents[1])
        run(
            *(sys.executable, "-m", "pip", "--python", prefix / "bin/python"),
            *("install", "--no-index", "--no-build-isolation", "--no-deps", "--quiet"),
            *what,
            env={**os.environ, "PYTHONPATH": place, "PIP_ROOT_USER_ACTION": "ignore"},
        )


@pytest.fixture
def project(home: Path) -> Project:
    return Project(home / "library")


class Analysis:
    """A working folder with a small test-suite."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self._home = home

    def expect(self, prefix: Path) -> None:
        suite = f"PREFIX = {str(prefix)!r}\nHOME = {str(self._home)!r}\n{SUITE}"
        (self.folder / "test_job.py").write_text(suite)


@pytest.fixture
def analysis(home: Path) -> Analysis:
    (home / "analysis").mkdir()
    return Analysis(home / "analysis", home)


@pytest.fixture
def interpreter(home: Path) -> Path:
    """A whole Python that is not below /usr."""
    base = home / "pythons" / f"cpython-{VERSION}-own"
    (base / "bin").mkdir(parents=True)
    executable = Path(sys.executable).resolve()
    shutil.copy(executable, base / "bin" / f"python{VERSION}")
    (base / "bin/python3").symlink_to(f"python{VERSION}")
    (base / "bin/python").symlink_to("python3")
    library = Path(os.__file__).parent
    shutil.copytree(
        library,
        base / "lib" / library.name,
        ignore=shutil.ignore_patterns(
            "dist-packages",
            "site-packages",
            "test",
            "__pycache__",
            "EXTERNALLY-MANAGED",
        ),
        symlinks=True,
    )
    # Debian's Python installs below PREFIX/local, every other one below PREFIX.
    settings = base / "lib" / library.name / "sysconfig.py"
    text = settings.read_text()
    settings.write_text(text.replace("base}/local/", "base}/"))
    return base


@pytest.fixture
def make(home: Path, interpreter: Path) -> Callable[[str], Path]:
    """Make an environment of a kind; return its prefix."""

    def make(kind: str) -> Path:
        prefix = home / "env"
        match kind:
            case "venv":
                run(sys.executable, "-m", "venv", "--without-pip", prefix)
            case "venv with copies":
                run(sys.executable, "-m", "venv", "--without-pip", "--copies", prefix)
            case "virtualenv":
                run(sys.executable, "-m", "virtualenv", "--no-seed", "--quiet", prefix)
            case "uv":
                uv = run(REPOSITORY / ".ci/find-uv").strip()
                python = ["--python", interpreter / "bin/python3", "--no-project"]
                run(uv, "venv", "--quiet", *python, prefix)
            case "venv of another Python":
                python = interpreter / "bin/python3"
                run(python, "-m", "venv", "--without-pip", prefix)
            case "venv through a link":
                link = interpreter.with_name("current")
                link.symlink_to(interpreter.name)
                run(link / "bin/python3", "-m", "venv", "--without-pip", prefix)
            case "conda":
                interpreter.rename(prefix)
                (prefix / "conda-meta").mkdir()
                files = [
                    str(path.relative_to(prefix))
                    for path in prefix.rglob("*")
                    if not path.is_dir()
                ]
                record = prefix / f"conda-meta/python-{VERSION}-0.json"
                record.write_text(json.dumps({"files": files}))
            case _:
                raise ValueError(kind)
        return prefix

    return make
