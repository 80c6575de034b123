"""What names an old place names the new one, and nothing else changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from offload.snapshot.environments.relocation import RelocationError, relocate

OLD = "/home/u/proj/.venv"
NEW = "/scratch/job 1/env"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def write(tree: Path, name: str, content: str | bytes) -> Path:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


SITE = "lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pyvenv.cfg", f"home = {OLD}/bin\n", f"home = {NEW}/bin\n"),
        ("bin/activate", f"VIRTUAL_ENV='{OLD}'\n", f"VIRTUAL_ENV='{NEW}'\n"),
        ("bin/run", f"#!/bin/sh\nexec {OLD}/bin/x\n", f"#!/bin/sh\nexec {NEW}/bin/x\n"),
        (f"{SITE}/lib.pth", f"{OLD}/src/lib\n", f"{NEW}/src/lib\n"),
        (f"{SITE}/lib.egg-link", f"{OLD}/src/lib\n.", f"{NEW}/src/lib\n."),
        (
            f"{SITE}/__editable___lib_1_finder.py",
            f"MAPPING = {{'lib': '{OLD}/src/lib'}}\n",
            f"MAPPING = {{'lib': '{NEW}/src/lib'}}\n",
        ),
        (
            "share/jupyter/kernels/python3/kernel.json",
            json.dumps({"argv": [f"{OLD}/bin/python", "-m"]}),
            json.dumps({"argv": [f"{NEW}/bin/python", "-m"]}),
        ),
        ("lib/pkgconfig/x.pc", f"Libs: -L{OLD}/lib\n", f"Libs: -L{NEW}/lib\n"),
    ],
)
def test_what_names_the_place_is_rewritten(tree, name, before, after):
    path = write(tree, name, before)
    assert relocate(tree, {OLD: NEW}) == (path,)
    assert path.read_text() == after


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"{SITE}/lib/code.py", f"PLACE = '{OLD}/x'\n"),
        ("share/data.txt", f"{OLD}\n"),
        ("bin/activate", f"x='{OLD}2'\ny='{OLD}-old'\nz='/mnt{OLD}'\n"),
        ("bin/python", b"\x7fELF\0" + OLD.encode() + b"\0"),
        ("bin/latin", f"#!/bin/sh\n# caf\xe9 {OLD}x\n".encode("latin-1")),
    ],
)
def test_what_does_not_is_left_alone(tree, name, content):
    path = write(tree, name, content)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert relocate(tree, {OLD: NEW}) == ()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_module_that_a_path_file_imports_is_a_finder(tree):
    write(tree, f"{SITE}/lib.pth", "import _redirect; _redirect.install()\n")
    module = write(tree, f"{SITE}/_redirect.py", f"install('{OLD}/src')\n")
    assert relocate(tree, {OLD: NEW}) == (module,)
    assert module.read_text() == f"install('{NEW}/src')\n"


def test_a_first_line_is_kept_if_the_kernel_takes_it(tree):
    script = write(tree, "bin/tool", f"#!{OLD}/bin/python -E\nimport x\n")
    relocate(tree, {OLD: "/short/env"})
    assert script.read_text() == "#!/short/env/bin/python -E\nimport x\n"


@pytest.mark.parametrize("new", ["{}/with space", "{}/" + "long" * 40])
def test_a_first_line_that_the_kernel_does_not_take_goes_through_the_shell(
    tree, tmp_path, new
):
    place = Path(new.format(tmp_path))
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    script = write(
        tree,
        "bin/tool",
        "#!/old/python -I\nimport sys\nprint(sys.argv[1:], sys.flags.isolated)\n",
    )
    script.chmod(0o755)
    relocate(tree, {"/old": str(place)})
    done = subprocess.run(
        [script, "a b", "c"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "['a b', 'c'] 1\n", done.stderr


def test_absolute_links_are_made_anew_and_others_are_not(tree):
    for name, target in {
        "inside": f"{OLD}/lib",
        "elsewhere": "/usr/bin/python3",
        "relative": "lib",
        "dangling": f"{OLD}2/x",
    }.items():
        (tree / name).symlink_to(target)
    relocate(tree, {OLD: NEW})
    targets = {path.name: str(path.readlink()) for path in tree.iterdir()}
    assert targets == {
        "inside": f"{NEW}/lib",
        "elsewhere": "/usr/bin/python3",
        "relative": "lib",
        "dangling": f"{OLD}2/x",
    }


def test_the_longest_of_several_places_counts(tree):
    path = write(tree, "pyvenv.cfg", f"a = {OLD}/x\nb = /home/u/proj/y\n")
    relocate(tree, {"/home/u/proj": "/code", OLD: "/env"})
    assert path.read_text() == "a = /env/x\nb = /code/y\n"


def test_places_may_be_swapped(tree):
    path = write(tree, "x.pth", "/a/x\n/b/x\n")
    relocate(tree, {"/a": "/b", "/b": "/a"})
    assert path.read_text() == "/b/x\n/a/x\n"


def test_a_second_time_changes_nothing(tree):
    write(tree, "pyvenv.cfg", f"home = {OLD}\n")
    assert relocate(tree, {OLD: NEW})
    assert relocate(tree, {OLD: NEW}) == ()


def test_modes_stay_and_hard_links_are_not_written_through(tree, tmp_path):
    shared = tmp_path / "store"
    shared.write_text(f"#!{OLD}/bin/python\n")
    shared.chmod(0o755)
    (tree / "bin").mkdir()
    os.link(shared, tree / "bin/tool")
    relocate(tree, {OLD: "/new"})
    assert shared.read_text() == f"#!{OLD}/bin/python\n"
    assert (tree / "bin/tool").read_text() == "#!/new/bin/python\n"
    assert (tree / "bin/tool").stat().st_mode & 0o777 == 0o755


def conda(tree: Path, *paths: dict[str, str]) -> None:
    record = {"paths_data": {"paths": [{"_path": "lib/plain.txt"}, *paths]}}
    write(tree, "conda-meta/x-1-0.json", json.dumps(record))


def test_what_conda_records_is_rewritten_also_in_binaries(tree):
    conda(
        tree,
        {"_path": "etc/x.conf", "prefix_placeholder": "/p", "file_mode": "text"},
        {"_path": "lib/x.so", "prefix_placeholder": "/p", "file_mode": "binary"},
    )
    config = write(tree, "etc/x.conf", "at /opt/conda/envs/a/share\n")
    plain = write(tree, "lib/plain.txt", "at /opt/conda/envs/a/share\n")
    binary = b"\x7fELF\0/opt/conda/envs/a/lib:/opt/conda/envs/a/lib64\0rest\0"
    library = write(tree, "lib/x.so", binary)
    relocate(tree, {"/opt/conda/envs/a": "/e"})
    assert config.read_text() == "at /e/share\n"
    assert plain.read_text() == "at /opt/conda/envs/a/share\n"
    got = library.read_bytes()
    assert len(got) == len(binary)
    assert got.startswith(b"\x7fELF\0/e/lib:/e/lib64\0\0")
    assert got.endswith(b"\0rest\0")


def test_a_binary_without_room_is_an_error_that_says_what_to_do(tree):
    conda(tree, {"_path": "x.so", "prefix_placeholder": "/p", "file_mode": "binary"})
    library = write(tree, "x.so", b"\0/opt/a/lib\0")
    with pytest.raises(RelocationError, match="runtime that binds paths"):
        relocate(tree, {"/opt/a": "/opt/longer"})
    assert library.read_bytes() == b"\0/opt/a/lib\0"


@pytest.mark.parametrize("moves", [{"a": "/b"}, {"/a": "b"}, {"/": "/b"}, {"/a": "/"}])
def test_only_absolute_places_can_be_moved(tree, moves):
    with pytest.raises(ValueError, match="absolute"):
        relocate(tree, moves)


def test_a_real_environment_works_where_it_was_moved_to(tmp_path):
    old, new = tmp_path / "old", tmp_path / "somewhere else" / "new"
    command = [sys.executable, "-m", "venv", "--without-pip", old]
    subprocess.run(command, check=True)
    (site,) = old.glob("lib/python*/site-packages")
    (site / "lib.py").write_text("import sys\nprint(sys.prefix)\n")
    tool = write(old, "bin/tool", f"#!{old}/bin/python\nimport lib\n")
    tool.chmod(0o755)
    shutil.copytree(old, new, symlinks=True)
    relocate(new, {str(old): str(new)})
    shutil.rmtree(old)
    done = subprocess.run(
        [new / "bin/tool"], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{new}\n", done.stderr
