"""``facility bench adl``: files of histograms, a table, and one line for a mistake."""

from __future__ import annotations

import csv
import json

import pytest

from facility.cli import main

NAMES = ["q1", "q2", "q3", "q4", "q5", "q6a", "q6b", "q7", "q8"]


def run(monkeypatch, *words):
    """Run the command; return its exit code."""
    monkeypatch.setattr("sys.argv", ["facility", "bench", "adl", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


@pytest.fixture
def sample(tmp_path, monkeypatch, capsys):
    path = tmp_path / "sample.root"
    assert run(monkeypatch, "--generate", 2500, path, "--basket-events", 600) == 0
    assert capsys.readouterr().out == f"{path}\n"
    return path


def test_every_histogram_is_a_file_of_the_true_counts(
    sample, tmp_path, monkeypatch, capsys, truth, binning
):
    out = tmp_path / "new" / "out"
    words = (sample, "--out", out, "--threads", 2, "--style", "array", "--json")
    assert run(monkeypatch, *words) == 0
    timings = json.loads(capsys.readouterr().out)
    assert [t["query"] for t in timings] == list(range(1, 9))
    assert all(t["events"] == 2500 and t["bytes_read"] > 0 for t in timings)
    assert sorted(f.name for f in out.iterdir()) == [f"{n}.csv" for n in NAMES]
    for name in NAMES:
        with (out / f"{name}.csv").open() as file:
            header, *rows = csv.reader(file)
        low, high = binning[name[1:]]
        assert header == ["low", "high", "count"]
        assert [int(count) for *_, count in rows] == truth[name[1:]]
        edges = [low + i * (high - low) / 100 for i in range(101)]
        assert [float(r[0]) for r in rows] == pytest.approx(edges[:-1], abs=1e-9)
        assert [float(r[1]) for r in rows] == pytest.approx(edges[1:], abs=1e-9)


def test_kernels_are_the_default_and_queries_are_chosen(
    sample, tmp_path, monkeypatch, capsys, truth
):
    assert run(monkeypatch, sample, "--out", tmp_path / "o", "--queries", "6,1") == 0
    said = capsys.readouterr().out
    assert "kernel style" in said
    assert "2,500 events" in said
    files = sorted(f.name for f in (tmp_path / "o").iterdir())
    assert files == ["q1.csv", "q6a.csv", "q6b.csv"]
    counts = (tmp_path / "o" / "q6b.csv").read_text().splitlines()[1:]
    assert [int(line.rpartition(",")[2]) for line in counts] == truth["6b"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.root", "--out", "o"], "none.root"),
        (["{file}", "--out", "o"], "expected a ROOT or Parquet file"),
        (["{sample}"], "--out DIR"),
        (["{sample}", "--out", "o", "--queries", "9"], "no query '9'"),
        (["{sample}", "--out", "o", "--style", "x"], "expected one of kernel, array"),
        (["{sample}", "--out", "{file}/o"], "cannot write"),
        (["{sample}", "--out", "o", "--generate", "9"], "no --out"),
        (["a", "b", "--generate", "9"], "expected one file"),
        (["a", "--generate", "9", "--compression", "rot13"], "expected zstd"),
        (["a", "--generate", "9", "--format", "csv"], "expected one of ttree"),
        (["no/where/a.root", "--generate", "9"], "there is no folder no/where"),
    ],
)
def test_a_mistake_is_one_line(sample, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no events")
    known = {"sample": sample, "file": tmp_path / "file"}
    assert run(monkeypatch, *(word.format(**known) for word in words)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_tree_without_the_branches_is_one_line(
    tmp_path, monkeypatch, capsys, without_muons
):
    words = (without_muons, "--out", tmp_path / "o", "--queries", "5")
    for style in ("kernel", "array"):
        assert run(monkeypatch, *words, "--style", style) == 2
        error = capsys.readouterr().err
        assert "Muon" in error
        assert error.count("\n") == 1
