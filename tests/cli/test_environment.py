"""``facility environment``: show one, compare two."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from facility.cli.environment import app
from facility.environment import Distribution, Environment, describe
from facility.errors import UsageError

BASE = Path(sys.base_prefix)
"""An environment that nobody edits while the tests run."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _store(path: Path, **versions: str) -> Path:
    environment = replace(
        describe(), distributions={n: Distribution(v) for n, v in versions.items()}
    )
    path.write_text(environment.to_json())
    return path


def test_show_names_python_digest_and_distributions() -> None:
    environment = describe(BASE)
    shown = _run("show", "--prefix", BASE)
    assert shown.exit_code == 0
    first, digest, *rows = shown.output.splitlines()
    assert first.startswith(f"cpython {environment.python}, {environment.machine}, ")
    assert digest == environment.digest
    assert len(rows) == len(environment.distributions) + 1


def test_what_show_writes_diff_reads(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(_run("show", "--prefix", BASE, "--json").output)
    assert Environment.from_json(file.read_text()) == describe(BASE)
    assert _run("diff", file, BASE).output == "no difference\n"


def test_diff_prints_a_line_for_each_difference(tmp_path: Path) -> None:
    a = _store(tmp_path / "a", numpy="1", uproot="5")
    b = _store(tmp_path / "b", numpy="2", uproot="5")
    line = f"numpy 1 in {a}, 2 in {b}"
    assert _run("diff", a, b).output == f"{line}\n"
    printed = json.loads(_run("diff", a, b, "--json").output)
    assert printed == {"same": False, "lines": [line]}


def test_no_environment_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff")
    for place, message in (
        (tmp_path, "expected the directory of a Python environment, got one"),
        (tmp_path / "bad", "an environment is JSON, got: "),
    ):
        error = _run("diff", place, BASE).exception
        assert isinstance(error, UsageError)
        assert str(error).startswith(f"{place}: {message}")
        assert "\n" not in str(error)
