"""Which files are code."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from offload.snapshot.errors import SelectionError
from offload.snapshot.selection.code import LeftOut, Reason, code_root, select_code

git_wanted = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture(autouse=True)
def _settings_of_nobody(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"]
    who += ["-c", "protocol.file.allow=always"]
    subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True
    )


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


def selected(root: Path, **more: object) -> set[str]:
    return {os.fsdecode(path) for path in select_code(root, **more).paths}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init")
    return root


@git_wanted
def test_tracked_and_untracked_are_code_but_not_what_git_ignores(repository):
    write(repository, "train.py", "new.py", "data.root", "build/x", "kept.root")
    (repository / ".gitignore").write_text("*.root\nbuild/\n")
    git(repository, "add", "train.py", ".gitignore")
    git(repository, "add", "--force", "kept.root")
    selection = select_code(repository)
    assert selection.paths == (b".gitignore", b"kept.root", b"new.py", b"train.py")
    assert selection.left_out == (
        LeftOut(b"build", Reason.GIT),
        LeftOut(b"data.root", Reason.GIT),
    )


@git_wanted
def test_what_git_tracks_in_an_ignored_folder_is_code(repository):
    write(repository, "build/kept.py", "build/made.o")
    (repository / ".gitignore").write_text("build/\n")
    git(repository, "add", "--force", "build/kept.py")
    assert selected(repository) == {".gitignore", "build/kept.py"}


@git_wanted
def test_a_tracked_file_that_was_deleted_is_not_there(repository):
    write(repository, "gone.py", "here.py")
    git(repository, "add", ".")
    (repository / "gone.py").unlink()
    assert selected(repository) == {"here.py"}


@git_wanted
def test_folders_without_files_stay_because_programs_write_into_them(repository):
    write(repository, "results/deep/", "plots/old.png", "ignored/x", "src/a.py")
    (repository / ".gitignore").write_text("*.png\nignored/\n")
    git(repository, "add", "src")
    assert selected(repository) == {".gitignore", "plots", "results/deep", "src/a.py"}


@git_wanted
def test_names_may_be_any_bytes(repository):
    names = [b"caf\xe9", b"new\nline", b'"quoted"', b"-n", "α".encode()]
    for name in names:
        (repository / os.fsdecode(name)).touch()
    git(repository, "add", "--", os.fsdecode(names[0]))
    assert select_code(repository).paths == tuple(sorted(names))


@git_wanted
def test_the_index_in_conflict_names_each_file_once(repository):
    write(repository, "a.py")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "1")
    git(repository, "checkout", "-b", "other")
    (repository / "a.py").write_text("other")
    git(repository, "commit", "-am", "2")
    git(repository, "checkout", "-")
    (repository / "a.py").write_text("mine")
    git(repository, "commit", "-am", "3")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    assert select_code(repository).paths == (b"a.py",)


@git_wanted
def test_submodules_and_nested_repositories_follow_their_own_rules(
    repository, tmp_path
):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init")
    write(library, "lib.py")
    (library / ".gitignore").write_text("*.log\n")
    git(library, "add", ".")
    git(library, "commit", "-m", "1")
    git(repository, "submodule", "add", str(library), "sub")
    git(repository, "clone", str(library), "clone")
    for place in ("sub", "clone"):
        write(repository, f"{place}/new.py", f"{place}/run.log")
    write(repository, "run.log")
    assert selected(repository) == {
        ".gitmodules",
        "run.log",
        *(
            f"{p}/{n}"
            for p in ("sub", "clone")
            for n in (".gitignore", "lib.py", "new.py")
        ),
    }


@git_wanted
def test_a_submodule_that_is_not_checked_out_is_a_folder(repository, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init")
    write(library, "lib.py")
    git(library, "add", ".")
    git(library, "commit", "-m", "1")
    git(repository, "submodule", "add", str(library), "sub")
    git(repository, "submodule", "deinit", "--force", "sub")
    assert selected(repository) == {".gitmodules", "sub"}


@git_wanted
def test_variables_of_a_hook_do_not_lead_elsewhere(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init")
    write(repository, "a.py")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert selected(repository) == {"a.py"}


@git_wanted
def test_the_programs_a_repository_names_are_not_run(repository, tmp_path):
    mark = tmp_path / "ran"
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {mark}\n")
    monitor.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(monitor))
    write(repository, "a.py")
    assert selected(repository) == {"a.py"}
    assert not mark.exists()


@pytest.mark.parametrize("has_git", [False, pytest.param(True, marks=git_wanted)])
def test_facilityignore_takes_away(tmp_path, has_git):
    if has_git:
        git(tmp_path, "init")
    write(tmp_path, "a.py", "big/x", "big/y", "deep/big/x", "logs/a.log", "logs/b.log")
    (tmp_path / ".facilityignore").write_text("# what\n/big/\n*.log\n!b.log\n")
    selection = select_code(tmp_path)
    assert {os.fsdecode(path) for path in selection.paths} == {
        ".facilityignore",
        "a.py",
        "deep/big/x",
        "logs/b.log",
    }
    assert LeftOut(b"big", Reason.FACILITY) in selection.left_out
    assert LeftOut(b"logs/a.log", Reason.FACILITY) in selection.left_out


def test_the_deepest_facilityignore_wins(tmp_path):
    write(tmp_path, "a.dat", "sub/a.dat", "sub/b.dat")
    (tmp_path / ".facilityignore").write_text("*.dat\n.facilityignore\n")
    (tmp_path / "sub/.facilityignore").write_text("!a.dat\n")
    assert selected(tmp_path) == {"sub/a.dat"}


def test_without_git_everything_but_what_tools_make_again(tmp_path):
    write(tmp_path, "a.py", "a.pyc", ".env", "node_modules/x/y.js", ".mypy_cache/z")
    selection = select_code(tmp_path)
    assert selection.paths == (b".env", b"a.py")
    assert {each.reason for each in selection.left_out} == {Reason.CACHE}


@pytest.mark.parametrize("has_git", [False, pytest.param(True, marks=git_wanted)])
def test_never_environments_caches_and_git_itself(tmp_path, has_git):
    if has_git:
        git(tmp_path, "init")
    write(tmp_path, "a.py", "__pycache__/a.pyc", ".ipynb_checkpoints/n.ipynb")
    write(tmp_path, "mine/lib/x.py", "other/pyvenv.cfg", "conda/conda-meta/history")
    selection = select_code(tmp_path, prefix=tmp_path / "mine")
    assert selection.paths == (b"a.py",)
    assert selection.left_out == tuple(
        LeftOut(name, Reason.ENVIRONMENT) for name in (b"conda", b"mine", b"other")
    )


def test_an_environment_that_is_a_link_is_no_code(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    write(root, "a.py")
    elsewhere.mkdir()
    (root / ".venv").symlink_to(elsewhere)
    assert selected(root, prefix=root / ".venv") == {"a.py"}


def test_an_environment_is_known_by_any_spelling_of_its_path(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write(real, "a.py", "env/x")
    link.symlink_to(real)
    assert selected(real, prefix=link / "env") == {"a.py"}
    assert selected(link, prefix=real / "env") == {"a.py"}


def test_links_are_kept_and_sockets_are_reported(tmp_path):
    write(tmp_path, "a.py")
    (tmp_path / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(tmp_path)  # a socket's path is short
        try:
            listener.bind("s")
        finally:
            os.chdir(before)
        selection = select_code(tmp_path)
    assert selection.paths == (b"a.py", b"link")
    assert selection.left_out == (
        LeftOut(b"pipe", Reason.NOT_A_FILE),
        LeftOut(b"s", Reason.NOT_A_FILE),
    )


@git_wanted
def test_what_an_editable_installation_imports_is_code_although_git_ignores_it(
    repository,
):
    write(repository, "src/pkg/__init__.py", "src/pkg/_version.py", "src/pkg/fast.so")
    write(repository, "src/pkg/big.root", "src/pkg.egg-info/PKG-INFO")
    ignored = "_version.py\n*.so\n*.root\n*.egg-info/\n"
    (repository / ".gitignore").write_text(ignored)
    plain = {".gitignore", "src/pkg/__init__.py"}
    assert selected(repository) == plain
    assert selected(repository, importable=[repository / "src"]) == {
        *plain,
        "src/pkg/_version.py",
        "src/pkg/fast.so",
        "src/pkg.egg-info/PKG-INFO",
    }
    (repository / ".facilityignore").write_text("*.so\n")
    assert "src/pkg/fast.so" not in selected(
        repository, importable=[repository / "src"]
    )


@git_wanted
def test_the_code_root_is_the_top_of_the_repository(repository, tmp_path):
    write(repository, "sub/deep/a.py")
    assert code_root(repository / "sub/deep", Path.home()) == repository
    link = tmp_path / "link"
    link.symlink_to(repository)
    assert code_root(link / "sub", Path.home()) == link


@git_wanted
def test_a_folder_that_git_ignores_is_a_project_of_its_own(repository):
    write(repository, "scratch/a.py")
    (repository / ".gitignore").write_text("scratch/\n")
    assert code_root(repository / "scratch", Path.home()) == repository / "scratch"
    assert selected(repository / "scratch") == {"a.py"}


def test_without_git_the_code_root_is_the_folder(tmp_path):
    assert code_root(tmp_path, Path.home()) == tmp_path


@git_wanted
def test_a_home_kept_in_git_is_no_project(tmp_path):
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("*\n")
    write(tmp_path, "work/a.py")
    assert code_root(tmp_path / "work", tmp_path) == tmp_path / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        assert selected(tmp_path / "work") == {"a.py"}


@pytest.mark.parametrize("where", ["home", "/"])
def test_nobody_takes_his_home_or_the_machine_along(tmp_path, where):
    folder = tmp_path if where == "home" else Path(where)
    with pytest.raises(SelectionError, match="sub-folder"):
        code_root(folder, tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SelectionError, match="got none"):
        code_root(tmp_path / "nothing", Path.home())


@git_wanted
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_refused_with_what_to_do(repository):
    os.chown(repository, 12345, 12345)
    os.chown(repository / ".git", 12345, 12345)
    with pytest.raises(SelectionError, match=r"safe\.directory"):
        code_root(repository, Path.home())
