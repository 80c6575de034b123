"""What ``facility diff`` compares."""

import py_compile
import subprocess
import sys

from facility.cli.returning import differences
from offload.snapshot import LocalStore, Request, freeze


def test_byte_code_that_python_makes_meanwhile_is_no_change(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root, prefix = tmp_path / "code", tmp_path / "env"
    root.mkdir()
    (root / "x.py").write_text("")
    create = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    subprocess.run(create, check=True)
    (packages,) = prefix.glob("lib/python3*/site-packages")
    for name in ("one", "other"):
        (packages / f"{name}.py").write_text("")
    py_compile.compile(str(packages / "one.py"))
    store = LocalStore(tmp_path / "store")
    snapshot = freeze(Request(root, prefix), store)
    assert {part.role for part in snapshot.parts} >= {"env", "bytecode/env"}
    py_compile.compile(str(packages / "other.py"))
    (packages / "new.py").write_text("")
    found = differences(snapshot, store)
    assert "bytecode/env" not in found
    assert [path.rpartition("/")[2] for path in found["env"]["added"]] == ["new.py"]
