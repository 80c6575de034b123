"""One Python asks another; what the module costs to import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facility.environment import Environment, describe


def test_it_prints_what_describe_returns(make_prefix: Callable[..., Any]) -> None:
    prefix = make_prefix()
    prefix.install("numpy", "2.0")
    command = [sys.executable, "-m", "facility.environment", "--prefix", prefix.path]
    printed = subprocess.run(command, check=True, capture_output=True).stdout
    assert Environment.from_json(printed) == describe(prefix.path)


def test_no_environment_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "facility.environment", "--prefix", tmp_path]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"{tmp_path}: expected the directory of a Python environment, "
        "got one without bin/python\n"
    )


def test_it_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from facility.environment import describe; describe()\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(names - sys.stdlib_module_names - {'__main__'}))"
    )
    ours = str(Path(__file__).parents[2])
    # -S: nothing else is importable, and no .pth file imports what we would not.
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code, ours],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert answer.stdout.split() == ["facility"]
