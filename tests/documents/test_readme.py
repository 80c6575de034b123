"""What the README shows is what there is."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facility.cli.application import app
from facility.errors import ExitCode
from facility.spec.loading import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(text)


def test_the_example_of_facility_yaml_is_valid(tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text(block("yaml"))

    facility = load(tmp_path)

    assert facility.ceiling_of("bert").workers == 4
    assert facility.ceiling_of("anna").workers == 16
    assert facility.gateway.idle_timeout == 30 * 60


@pytest.mark.parametrize(
    "line", re.findall(r"^\| `facility (.*?)` \|", README, re.MULTILINE)
)
def test_every_command_of_the_table_exists(line: str) -> None:
    first, *others = re.split(r"`, `", line)
    words = [word for word in first.split() if word.islower()]
    calls = [words, *([words[0], other] for other in others)]

    for call in calls:
        done = CliRunner().invoke(app, [*call, "--help"])
        assert done.exit_code == 0, done.output


def test_the_exit_codes_are_those_of_the_command() -> None:
    told = re.search(r"Exit codes: (.*?)\.\n", README, re.DOTALL)

    assert told is not None
    assert [int(n) for n in re.findall(r"\b\d+\b", told[1])] == list(ExitCode)
