"""What is remembered of costs, and what happens if the file is not what it was."""

import pytest

from facility.columnar.fused import measurements
from facility.columnar.fused.costs import Costs, Measured
from facility.columnar.fused.measurements import Measurements


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "costs.json"


def test_another_session_knows_what_one_has_measured(path):
    assert Measurements(path).costs("a gpu") == Costs()
    Measurements(path).add("a gpu", "cpu", Measured(1000, 0.5))
    Measurements(path).add("a gpu", "cuda", Measured(2000, 0.25))
    Measurements(path).add("b gpu", "cpu", Measured(10, 1.0))
    known = Costs((Measured(1000, 0.5),), (Measured(2000, 0.25),))
    assert Measurements(path).costs("a gpu") == known


def test_sessions_at_the_same_time_keep_each_others_programs(path):
    first, second = Measurements(path), Measurements(path)
    assert first.costs("a") == second.costs("b") == Costs()
    first.add("a", "cpu", Measured(1000, 0.5))
    second.add("b", "cpu", Measured(1000, 0.5))
    assert Measurements(path).costs("a").cpu
    assert Measurements(path).costs("b").cpu


def test_nothing_is_written_that_tells_nothing_new(path):
    known = Measurements(path)
    known.add("a", "cpu", Measured(1000, 0.5))
    before = path.stat().st_mtime_ns, path.stat().st_ino
    known.add("a", "cpu", Measured(1000, 0.6))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a": 1}', '{"a": {"cpu": [{"events": 1}]}}', "\0"]
)
def test_what_cannot_be_read_is_forgotten(path, content):
    path.parent.mkdir()
    path.write_text(content)
    known = Measurements(path)
    assert known.costs("a") == Costs()
    known.add("a", "cuda", Measured(1, 1.0))
    assert Measurements(path).costs("a").cuda == (Measured(1, 1.0),)


def test_a_folder_that_cannot_be_written_costs_the_memory_only(path):
    path.parent.write_text("a file is where the folder should be")
    known = Measurements(path)
    known.add("a", "cuda", Measured(1, 1.0))
    assert known.costs("a").cuda == (Measured(1, 1.0),)


def test_the_oldest_programs_are_forgotten(path, monkeypatch):
    monkeypatch.setattr(measurements, "MOST_PROGRAMS", 3)
    remembered = Measurements(path)
    for number in range(5):
        remembered.add(str(number), "cpu", Measured(1, 1.0))
    assert remembered.costs("1") == Costs()
    assert remembered.costs("2").cpu
