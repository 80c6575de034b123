"""Every make of environment works in a job that has no network and no home."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from offload.snapshot import Request
from offload.snapshot.freezing import freeze

pytestmark = pytest.mark.engines

MAKES = (
    "venv",
    "venv with copies",
    "virtualenv",
    "uv",
    "venv of another Python",
    "venv through a link",
    "conda",
)


@pytest.mark.parametrize("kind", MAKES)
def test_a_test_suite_passes_in_a_job(kind, make, project, analysis, node, store):
    prefix = make(kind)
    project.write("hatchling", "src")
    project.install(prefix)
    analysis.expect(prefix)
    snapshot = freeze(Request(analysis.folder, prefix=prefix), store)
    away(prefix, project.folder)
    assert node.run(snapshot, store, prefix / "bin/physics") == "Z 91.1876\n"
    node.run(snapshot, store, prefix / "bin/python", "-m", "unittest")


@pytest.mark.parametrize("layout", ["src", "flat"])
@pytest.mark.parametrize("backend", ["hatchling", "setuptools"])
@pytest.mark.parametrize("kind", ["venv", "conda"])
def test_what_is_installed_in_place_is_imported_from_there(
    kind, backend, layout, make, project, analysis, node, store
):
    prefix = make(kind)
    project.write(backend, layout)
    project.install(prefix, editable=True)
    analysis.expect(prefix)
    snapshot = freeze(Request(analysis.folder, prefix=prefix), store)
    local = snapshot.part("local/0")
    assert local is not None
    assert local.mount == str(project.folder)
    away(prefix, project.folder)
    assert node.run(snapshot, store, prefix / "bin/physics") == "Z 91.1876\n"
    node.run(snapshot, store, prefix / "bin/python", "-m", "unittest")


def test_the_code_itself_may_be_what_is_installed_in_place(
    make, project, analysis, node, store
):
    prefix = make("venv")
    project.folder = analysis.folder
    project.write("setuptools", "src")
    project.install(prefix, editable=True)
    analysis.expect(prefix)
    (analysis.folder / ".gitignore").write_text("*.egg-info/\n*.txt\n_made.py\n")
    package = analysis.folder / "src/physics"
    (package / "_made.py").write_text("version = '7'\n")
    subprocess.run(["git", "init", "-q", analysis.folder], check=True)
    subprocess.run(
        ["git", "add", "-f", package / "constants.txt"], cwd=package, check=True
    )
    snapshot = freeze(Request(analysis.folder, prefix=prefix), store)
    assert [part.role for part in snapshot.parts] == ["code", "env"]
    python = prefix / "bin/python"
    node.run(snapshot, store, python, "-m", "unittest")
    made = "import physics._made as made; print(made.version)"
    assert node.run(snapshot, store, python, "-c", made) == "7\n"


def test_setup_py_develop_of_former_times_works(make, project, analysis, node, store):
    prefix = make("venv")
    project.write("setuptools", "flat")
    (site,) = prefix.glob("lib/python*/site-packages")
    # What setuptools before version 80 leaves behind.
    (site / "physics.egg-link").write_text(f"{project.folder}\n.")
    (site / "easy-install.pth").write_text(f"{project.folder}\n")
    metadata = project.folder / "physics.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Name: physics\nVersion: 1.2.3\n")
    analysis.expect(prefix)
    snapshot = freeze(Request(analysis.folder, prefix=prefix), store)
    away(prefix, project.folder)
    node.run(snapshot, store, prefix / "bin/python", "-m", "unittest")


def away(*folders: Path) -> None:
    """Take them away: what works then works from the snapshot."""
    for folder in folders:
        shutil.rmtree(folder)
