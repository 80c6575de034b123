import json
from dataclasses import dataclass

import pytest

from facility.cli.running import run


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def type_command(tmp_path, monkeypatch, capsys):
    """Type a command in an empty directory, with a state directory of its own."""
    directory = tmp_path / "facility"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def typed(*arguments: str) -> Answer:
        code = run(arguments)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return typed
