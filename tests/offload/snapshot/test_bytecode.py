"""Only byte code that Python would believe travels, and then it is believed anywhere."""

import hashlib
import importlib.util
import os
import py_compile
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from offload.snapshot import LocalStore, Request, freeze, manifest
from offload.snapshot.bytecode import belonging_to, cache_tag, current, unchecked
from offload.snapshot.bytecode import is_bytecode as is_role

TAG = sys.implementation.cache_tag.encode()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    package = tmp_path / "package"
    package.mkdir()
    source = package / "module.py"
    source.write_text("answer = 42\n")
    py_compile.compile(os.fspath(source))
    return source


def found(root: Path) -> list[bytes]:
    sources = [b"package/module.py", b"package/data.txt", b"absent.py"]
    return list(current(os.fsencode(root), sources, TAG))


def test_what_belongs_to_the_source_is_found(module: Path):
    (name,) = found(module.parents[1])
    assert name == b"package/__pycache__/module.%b.pyc" % TAG
    version = "{}.{}.{}".format(*sys.version_info)
    assert cache_tag(version) == TAG


@pytest.mark.parametrize(
    "edit",
    [
        lambda source: source.write_text("answer = 43  # longer\n"),
        lambda source: os.utime(source, (1, 1)),
        lambda source: source.unlink(),
        lambda source: Path(importlib.util.cache_from_source(source)).write_bytes(b""),
    ],
)
def test_what_is_of_another_source_is_not(module: Path, edit):
    edit(module)
    assert found(module.parents[1]) == []


def test_what_is_checked_by_hash_is_left_to_who_can_check_it(module: Path):
    mode = py_compile.PycInvalidationMode
    py_compile.compile(os.fspath(module), invalidation_mode=mode.CHECKED_HASH)
    assert found(module.parents[1]) == []
    py_compile.compile(os.fspath(module), invalidation_mode=mode.UNCHECKED_HASH)
    assert len(found(module.parents[1])) == 1


def test_it_is_believed_whenever_the_source_was_written(module: Path):
    compiled = Path(importlib.util.cache_from_source(module))
    content = unchecked(compiled.read_bytes())
    assert unchecked(content) == content
    assert len(content) == compiled.stat().st_size
    compiled.write_bytes(content)
    module.write_text("answer = 'compiled again'\n")  # shows who was believed
    os.utime(module, (0, 0))
    done = subprocess.run(
        [sys.executable, "-c", "import package.module as m; print(m.answer)"],
        cwd=module.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "42\n"


def test_its_part_lies_over_another():
    assert is_role(belonging_to("local/0"))
    assert not is_role("local/0")


def test_it_travels_beside_the_environment_and_outside_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    prefix = tmp_path / "venv"
    venv.create(prefix, with_pip=False)
    major, minor = sys.version_info[:2]
    module = prefix / f"lib/python{major}.{minor}/site-packages/module.py"
    module.write_text("answer = 42\n")
    root = tmp_path / "work"
    root.mkdir()
    store = LocalStore(tmp_path / "store")
    before = freeze(Request(root=root, prefix=prefix), store)
    assert before.part("bytecode/env") is None
    compiled = Path(py_compile.compile(os.fspath(module)))
    after = freeze(Request(root=root, prefix=prefix), store)
    assert after.id == before.id
    (entry,) = [e for e in manifest(after, store, "bytecode/env").entries if e.sha256]
    assert os.fsdecode(entry.path) == os.fspath(compiled.relative_to(prefix))
    sha256 = hashlib.sha256(unchecked(compiled.read_bytes())).hexdigest()
    assert entry.sha256 == sha256
    module.write_text("answer = 43  # longer\n")
    assert freeze(Request(root=root, prefix=prefix), store).part("bytecode/env") is None
