"""``facility samples``."""

import json

import pytest
from typer.testing import CliRunner

from facility.cli.samples import app
from facility.errors import UsageError
from facility.samples import SAMPLES

run = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")


def test_list_says_what_is_real_and_what_is_simulated():
    records = json.loads(run.invoke(app, ["list", "--json"]).stdout)
    assert len(records) == len(SAMPLES)
    kinds = {r["name"]: r["kind"] for r in records}
    assert kinds["zmumu"] == "data"
    assert kinds["hzz"] == "simulation"
    assert all(r["path"] is None for r in records)


def test_the_table_has_every_sample_in_one_line_of_80_columns():
    shown = run.invoke(app, ["list"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert [line.split()[0] for line in shown[1:]] == [s.name for s in SAMPLES]


def test_a_generated_sample_is_where_it_says(tmp_path):
    command = ["generate", "dimuon", "--events", "50", "--seed", "2"]
    record = json.loads(run.invoke(app, [*command, "--json"]).stdout)
    assert record["kind"] == "simulation"
    path = run.invoke(app, command).stdout.strip()
    assert path == record["path"]
    assert path.startswith(str(tmp_path))


@pytest.mark.parametrize("command", ["fetch", "path"])
def test_errors_reach_the_caller_unchanged(command):
    assert isinstance(run.invoke(app, [command, "zmumuu"]).exception, UsageError)
    offline = run.invoke(app, [command, "zmumu"]).exception
    assert isinstance(offline, UsageError)
    assert "no connection" in str(offline)
