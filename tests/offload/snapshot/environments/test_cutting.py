"""How environments are cut, and what of elsewhere comes along."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from offload.snapshot.cuts import PartCut
from offload.snapshot.environments.cutting import bare_base, cut
from offload.snapshot.errors import EnvironmentCutError

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return home


class Venv:
    """A virtual environment with distributions written by hand."""

    def __init__(self, path: Path, python: Path = Path(sys.executable)) -> None:
        self.path = path
        command = [python, "-m", "venv", "--without-pip", path]
        subprocess.run(command, check=True)
        self.site = path / f"lib/python{VERSION}/site-packages"

    def install(self, name: str, version: str = "1", **more: str) -> Path:
        """Write a distribution; ``more`` are contents of files in site-packages."""
        metadata = self.site / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        for file, content in more.items():
            (self.site / file).write_text(content)
        files = [*more, f"{metadata.name}/METADATA", f"{metadata.name}/RECORD"]
        record = "".join(f"{file},sha256=x,1\n" for file in files)
        (metadata / "RECORD").write_text(record)
        return metadata


@pytest.fixture
def venv(home: Path) -> Venv:
    return Venv(home / "venv")


def part(prefix: Path, role: str, **more: object) -> PartCut:
    return next(each for each in cut(prefix, **more).parts if each.role == role)


def roles(prefix: Path, **more: object) -> list[tuple[str, Path]]:
    return [(each.role, each.mount) for each in cut(prefix, **more).parts]


def names(part: PartCut) -> dict[str, set[str]]:
    return {
        group.name: {os.fsdecode(path) for path in group.paths} for group in part.groups
    }


def project(folder: Path, *files: str) -> Path:
    for file in ("pyproject.toml", *files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")
    return folder


# groups


def test_every_file_is_in_the_group_of_its_distribution(venv):
    site = f"lib/python{VERSION}/site-packages"
    venv.install("numpy", "2.4.6", **{"numpy.py": "", "../../../bin/f2py": "#!"})
    (venv.site / "mine.py").write_text("")
    (venv.site / "__pycache__").mkdir()
    (venv.site / "__pycache__/numpy.cpython-311.pyc").write_text("")
    cut_up = names(part(venv.path, "env"))
    assert cut_up["numpy-2.4.6"] == {
        "bin/f2py",
        f"{site}/numpy.py",
        f"{site}/numpy-2.4.6.dist-info/METADATA",
        f"{site}/numpy-2.4.6.dist-info/RECORD",
    }
    assert f"{site}/mine.py" in cut_up["rest"]
    assert "pyvenv.cfg" in cut_up["rest"]
    assert not any("__pycache__" in path for group in cut_up.values() for path in group)


def test_a_file_that_two_records_name_is_in_one_group(venv):
    venv.install("aaa", **{"shared.py": ""})
    venv.install("bbb", **{"shared.py": ""})
    everything = part(venv.path, "env").groups
    paths = [path for group in everything for path in group.paths]
    assert len(paths) == len(set(paths))
    assert sum(path.endswith(b"shared.py") for path in paths) == 1


@pytest.mark.parametrize("damage", ["", "\0,,\n", "../../../../../etc/passwd,,\n"])
def test_a_record_that_lies_gains_nothing(venv, damage):
    metadata = venv.install("odd", **{"odd.py": ""})
    (metadata / "RECORD").write_text(damage)
    site = f"lib/python{VERSION}/site-packages"
    cut_up = names(part(venv.path, "env"))
    assert f"{site}/odd.py" in cut_up["rest"]
    assert not any("passwd" in path for group in cut_up.values() for path in group)


def test_only_the_rest_is_looked_at_for_secrets(venv):
    venv.install("numpy", **{"numpy.py": ""})
    (venv.path / "pip.conf").write_text("")
    unrecorded = part(venv.path, "env").unrecorded
    assert b"pip.conf" in unrecorded
    assert not any(path.endswith(b"numpy.py") for path in unrecorded)


def test_conda_packages_are_groups(base):
    (base / "lib/libz.so").write_text("")
    (base / "conda-meta").mkdir()
    record = {"files": ["lib/libz.so", "lib/missing.so"]}
    (base / "conda-meta/zlib-1.3-h1.json").write_text(json.dumps(record))
    (base / "conda-meta/broken-1-0.json").write_text("[")
    (base / "envs/other/lib").mkdir(parents=True)
    (base / "envs/other/lib/x.so").write_text("")
    result = cut(base)
    assert [each.role for each in result.parts] == ["env"]
    cut_up = names(result.parts[0])
    assert cut_up["zlib-1.3-h1"] == {"lib/libz.so", "conda-meta/zlib-1.3-h1.json"}
    assert "envs/other/lib/x.so" not in cut_up["rest"]
    assert result.base.python is None


# interpreters


@pytest.fixture
def base(home: Path) -> Path:
    """An interpreter's installation that is not below /usr."""
    base = home / "pythons" / f"cpython-{VERSION}.9"
    (base / "bin").mkdir(parents=True)
    (base / "lib").mkdir()
    shutil.copy(Path(sys.executable).resolve(), base / "bin" / f"python{VERSION}")
    (base / "bin/python3").symlink_to(f"python{VERSION}")
    library = Path(os.__file__).parent
    shutil.copytree(
        library,
        base / "lib" / library.name,
        ignore=shutil.ignore_patterns(
            "dist-packages", "site-packages", "test", "__pycache__"
        ),
        copy_function=os.link if os.access(library, os.W_OK) else shutil.copy,
        symlinks=True,
    )
    return base


def test_the_hosts_interpreter_is_described(venv):
    result = cut(venv.path)
    assert result.base.python == str(Path(sys.executable).resolve())
    assert result.base.python_version == ".".join(map(str, sys.version_info[:3]))
    assert result.base.architecture == bare_base().architecture == os.uname().machine
    assert [each.role for each in result.parts] == ["env"]


def test_the_hosts_own_environment_does_not_travel():
    assert cut(Path("/usr")).parts == ()


def test_an_interpreter_elsewhere_travels_without_its_packages(base, home):
    site = base / f"lib/python{VERSION}/site-packages"
    site.mkdir()
    (site / "private.py").write_text("")
    venv = Venv(home / "venv", base / "bin/python3")
    result = cut(venv.path)
    assert [(each.role, each.mount) for each in result.parts] == [
        ("env", venv.path),
        ("interpreter", base),
    ]
    cut_up = names(result.parts[1])
    library = cut_up.pop(f"python-{sys.version.split()[0]}")
    assert f"lib/python{VERSION}/os.py" in library
    assert f"lib/python{VERSION}/site-packages" in library  # the empty folder
    assert f"lib/python{VERSION}/site-packages/private.py" not in library
    assert cut_up == {"rest": {"bin/python3", f"bin/python{VERSION}"}}
    assert result.base.python is None
    assert result.warnings == ()


def test_an_environment_that_sees_the_interpreters_packages_takes_them_along(
    base, home
):
    site = base / f"lib/python{VERSION}/site-packages"
    site.mkdir()
    (site / "shared.py").write_text("")
    venv = Venv(home / "venv", base / "bin/python3")
    settings = (venv.path / "pyvenv.cfg").read_text()
    open_settings = settings.replace("packages = false", "packages = true")
    (venv.path / "pyvenv.cfg").write_text(open_settings)
    files = set().union(*names(part(venv.path, "interpreter")).values())
    assert f"lib/python{VERSION}/site-packages/shared.py" in files


def test_a_link_that_leads_to_the_interpreter_travels_too(base, home):
    minor = base.with_name(f"cpython-{VERSION}")  # as uv makes it
    minor.symlink_to(base.name)
    venv = Venv(home / "venv", base / "bin/python3")
    (venv.path / "bin/python").unlink()
    (venv.path / "bin/python").symlink_to(minor / f"bin/python{VERSION}")
    interpreter = part(venv.path, "interpreter")
    assert interpreter.mount == base.parent
    cut_up = names(interpreter)
    assert cut_up["links"] == {minor.name}
    assert f"{base.name}/bin/python{VERSION}" in cut_up["rest"]


def test_no_python_is_said(tmp_path):
    with pytest.raises(EnvironmentCutError, match="expected the directory of a Python"):
        cut(tmp_path)


# what is installed in place


def test_a_path_to_a_project_elsewhere_becomes_a_part(venv, home):
    source = project(home / "library", "src/lib/__init__.py", "data/x")
    venv.install("lib", **{"_lib.pth": f"{source}/src\n"})
    local = part(venv.path, "local/0", root=home / "analysis")
    assert local.mount == source
    assert names(local) == {
        "library": {"pyproject.toml", "src/lib/__init__.py", "data/x"}
    }


def test_a_path_into_the_code_needs_no_part_of_its_own(venv, home):
    root = project(home / "analysis", "src/lib/__init__.py")
    venv.install("lib", **{"_lib.pth": f"{root}/src\n"})
    result = cut(venv.path, root=root)
    assert [each.role for each in result.parts] == ["env"]
    assert result.importable == (root / "src",)


FINDERS = {
    "setuptools": (
        "import __editable___lib_1_finder; __editable___lib_1_finder.install()",
        "__editable___lib_1_finder.py",
        "MAPPING: dict[str, str] = {'lib': '%s/lib'}\nNAMESPACES = {}\n",
    ),
    "editables": (
        "import _editable_impl_lib",
        "_editable_impl_lib.py",
        (
            "from editables.redirector import RedirectingFinder as F\n"
            "F.install()\nF.map_module('lib', '%s/lib/__init__.py')\n"
        ),
    ),
    "meson-python": (
        "import _lib_editable_loader",
        "_lib_editable_loader.py",
        "def install(*a): ...\ninstall({'lib'}, '%s/lib', [], None, False)\n",
    ),
    "scikit-build-core": (
        "import _lib_editable",
        "_lib_editable.py",
        "install({'lib': '%s/lib/__init__.py'}, {}, None, False, False)\n",
    ),
}


@pytest.mark.parametrize("tool", FINDERS)
def test_a_finder_module_is_read_without_being_run(tool, venv, home):
    source = project(home / "library", "lib/__init__.py")
    line, module, code = FINDERS[tool]
    venv.install(
        "lib",
        **{
            "lib.pth": line,
            module: "raise SystemExit\n" + code.replace("%s", str(source)),
        },
    )
    assert roles(venv.path)[1:] == [("local/0", source)]


def test_setup_py_develop_leaves_an_egg_link(venv, home):
    source = project(home / "library", "lib/__init__.py")
    (venv.site / "lib.egg-link").write_text(f"{source}\n.")
    assert roles(venv.path)[1:] == [("local/0", source)]


def test_a_linked_package_comes_along(venv, home):
    source = project(home / "library", "lib/__init__.py")
    (venv.site / "lib").symlink_to(source / "lib")
    assert roles(venv.path)[1:] == [("local/0", source)]


def test_a_single_module_comes_alone(venv, home):
    (home / "modules").mkdir()
    (home / "modules/mine.py").write_text("")
    (home / "modules/other.py").write_text("")
    (venv.site / "mine.py").symlink_to(home / "modules/mine.py")
    local = part(venv.path, "local/0")
    assert local.mount == home / "modules"
    assert [path for group in local.groups for path in group.paths] == [b"mine.py"]


@pytest.mark.parametrize("is_set", [False, True])
def test_folders_of_pythonpath_come_along(is_set, venv, home, monkeypatch):
    (home / "tools").mkdir()
    (home / "tools/tool.py").write_text("")
    more: dict[str, object] = {"search_path": [home / "tools"]}
    if is_set:
        monkeypatch.setenv("PYTHONPATH", f"{home}/tools::relative:/nowhere")
        more = {}
    assert roles(venv.path, **more)[1:] == [("local/0", home / "tools")]


def test_compiled_extensions_that_git_ignores_come_along(venv, home):
    source = project(
        home / "library", "src/lib/__init__.py", "src/lib/fast.so", "big.root"
    )
    (source / ".gitignore").write_text("*.so\n*.root\n")
    subprocess.run(["git", "init", "-q", source], check=True)
    venv.install("lib", **{"_lib.pth": f"{source}/src\n"})
    (files,) = names(part(venv.path, "local/0")).values()
    assert "src/lib/fast.so" in files
    assert "big.root" not in files


def test_a_project_in_a_folder_of_the_code_that_git_ignores_is_a_part(venv, home):
    root = project(
        home / "analysis", "external/lib/pyproject.toml", "external/lib/lib.py"
    )
    (root / ".gitignore").write_text("external/\n")
    subprocess.run(["git", "init", "-q", root], check=True)
    venv.install("lib", **{"_lib.pth": f"{root}/external/lib\n"})
    assert roles(venv.path, root=root)[1:] == [("local/0", root / "external/lib")]


def test_nobodys_home_travels_because_a_path_names_it(venv, home):
    venv.install("lib", **{"_lib.pth": f"{home}\n"})
    result = cut(venv.path)
    assert [each.role for each in result.parts] == ["env"]
    assert "too much" in result.warnings[0]


@pytest.mark.parametrize(
    "content", ["/nowhere/at/all\n", "# /etc\n", "\n", "import nothing\n", "\0\n"]
)
def test_a_path_file_that_leads_nowhere_adds_nothing(venv, content):
    venv.install("lib", **{"_lib.pth": content})
    assert [role for role, _ in roles(venv.path)] == ["env"]


def test_the_persons_own_packages_come_along_only_if_they_are_imported(base, home):
    user_site = home / f".local/lib/python{VERSION}/site-packages"
    user_site.mkdir(parents=True)
    (user_site / "mine.py").write_text("")
    assert roles(base)[1:] == [("local/0", user_site)]
    closed = Venv(home / "venv", base / "bin/python3")
    assert [role for role, _ in roles(closed.path)] == ["env", "interpreter"]


def test_a_changed_distribution_changes_the_digest(venv):
    venv.install("lib", "1")
    before = cut(venv.path).environment
    venv.install("other", "1")
    assert cut(venv.path).environment != before
