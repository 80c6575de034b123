"""``facility rerun``: what is printed, and the exit codes."""

import struct

import hist
import numpy as np
import pytest
import uproot

from facility.columnar import Dataset, load


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.root"
    with uproot.recreate(path, compression=None) as file:
        tree = file.mktree("Events", {"x": "float64"})
        tree.extend({"x": np.linspace(0, 1, 1000)})
    return path


@pytest.fixture
def saved(data, tmp_path):
    def spectrum(events):
        x = np.asarray(events.x)
        return hist.Hist.new.Reg(4, 0, 1, name="x").Double().fill(x, weight=x)

    result = Dataset(data, chunk_events=100).run(spectrum, progress=False)
    return result.save(tmp_path / "result.json")


@pytest.fixture(autouse=True)
def one_environment(monkeypatch):
    """Somebody may be editing this editable installation while the tests run."""
    monkeypatch.setattr(
        "facility.columnar.rerunning.Saved.environment_change", lambda _self: ""
    )


def test_the_same_bytes(type_command, saved, tmp_path):
    answer = type_command("rerun", str(saved), "--out", str(tmp_path / "again.json"))
    assert answer.code == 0
    assert answer.out.startswith(f"the same bytes: the histogram of {saved}\n1,000 eve")
    assert load(tmp_path / "again.json") == load(saved)
    answer = type_command("rerun", str(saved), "--json", "--on", "serial")
    assert answer.code == 0
    assert answer.json["is_same"]
    assert answer.json["is_same_code"]
    assert answer.err == ""


def test_a_changed_input_is_named_and_nothing_runs(type_command, saved, data):
    data.write_bytes(data.read_bytes() + b"\0")
    size = data.stat().st_size
    answer = type_command("rerun", str(saved))
    assert answer.code == 2
    assert answer.out == f"{data}: {size - 1:,} bytes then, {size:,} now\n"
    assert answer.err == "facility: changed: 1 of 1 input file; not run\n"
    answer = type_command("rerun", str(saved), "--json")
    assert answer.code == 2
    assert list(answer.json["changed_files"]) == [str(data)]


def test_an_input_that_changed_unnoticed_changes_the_bins(type_command, saved, data):
    value, other = (struct.pack(">d", x) for x in (np.linspace(0, 1, 1000)[500], 0.1))
    whole = data.read_bytes()
    assert whole.count(value) == 1
    data.write_bytes(whole.replace(value, other))
    answer = type_command("rerun", str(saved))
    assert answer.code == 1
    assert answer.out == (
        f"the histogram: 2 of 7 numbers differ\n{data}: written since, same size\n"
    )


def test_the_source_is_shown_and_nothing_runs(type_command, saved, monkeypatch):
    def run(*_args, **_options):
        raise AssertionError("it ran")

    monkeypatch.setattr("facility.columnar.rerunning.compute_again", run)
    saved.chmod(0o666)
    answer = type_command("rerun", str(saved), "--source")
    assert answer.code == 0
    first, second, *_ = answer.out.splitlines()
    assert first.startswith("# ")
    assert first.endswith(f"spectrum of {__file__}")
    assert "def spectrum(events):" in second


def test_what_others_may_write_needs_trust(type_command, saved):
    saved.chmod(0o666)
    answer = type_command("rerun", str(saved))
    assert answer.code == 2
    assert "may be written by everybody" in answer.err
    assert type_command("rerun", str(saved), "--trust").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.json"], "absent.json cannot be read: No such file"),
        (["RESULT", "--on", "moon"], "expected 'threads'"),
    ],
)
def test_mistakes_are_one_line(type_command, saved, arguments, message):
    arguments = [str(saved) if a == "RESULT" else a for a in arguments]
    answer = type_command("rerun", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
