"""``facility config``: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from facility.cli.config import app
from facility.cli.invocation import Invocation
from facility.spec import Facility, dumps, loads


def _run(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, obj=Invocation(directory))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "facility.yaml"
    file.write_text("name: A\nhub: {port: x}\n")
    return file


def test_show_prints_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text("name: here\nstorage: {state: s}\n")
    shown = _run(tmp_path, "show")
    assert shown.exit_code == 0
    facility = loads(shown.output, directory=Path("/"))
    assert facility.name == "here"
    assert facility.storage.state == tmp_path / "s"
    assert facility.gateway == Facility().gateway


def test_show_as_json_has_plain_numbers(tmp_path: Path) -> None:
    shown = json.loads(_run(tmp_path, "show", "--json").output)
    assert shown["gateway"]["scheduler_memory"] == 2**30
    assert shown["gateway"]["idle_timeout"] == 1800.0


def test_check_says_in_one_line_that_a_file_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "facility.yaml"
    assert _run(tmp_path, "check").output == (
        f"{file} is absent, so all defaults hold: facility 'analysis-facility' is "
        "fine\n"
    )
    file.write_text("name: here\n")
    for arguments in (["check"], ["check", str(file)]):
        checked = _run(tmp_path, *arguments)
        assert checked.output == f"{file}: facility 'here' is fine\n"
        assert checked.exit_code == 0


def test_check_prints_every_problem_and_exits_with_2(broken: Path) -> None:
    checked = _run(broken.parent, "check")
    assert checked.exit_code == 2
    assert checked.output.splitlines() == [
        (
            f"{broken}:1:7: name: malformed; expected lower-case letters, digits, dots "
            "and dashes (at most 63), got 'A'"
        ),
        f"{broken}:2:13: hub.port: wrong type; expected a whole number, got 'x'",
    ]


def test_check_as_json_prints_problems_as_data(broken: Path) -> None:
    checked = _run(broken.parent, "check", "--json")
    assert checked.exit_code == 2
    assert json.loads(checked.output)[1] == {
        "file": str(broken),
        "line": 2,
        "column": 13,
        "key": "hub.port",
        "message": "wrong type; expected a whole number, got 'x'",
    }
    broken.write_text(dumps(Facility()))
    assert json.loads(_run(broken.parent, "check", "--json").output) == []


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    checked = _run(tmp_path, "check", str(tmp_path / "none.yaml"))
    assert checked.exit_code == 2
    assert checked.output == (
        f"{tmp_path}/none.yaml: expected a readable file, got: "
        "No such file or directory\n"
    )


def test_schema_is_json(tmp_path: Path) -> None:
    printed = json.loads(_run(tmp_path, "schema").output)
    assert printed["properties"]["hub"]
