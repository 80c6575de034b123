"""What a run will take: tables of the arithmetic, and a probe of a real file."""

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from facility.columnar import Dataset, MissingBranchError, probing
from facility.columnar.backends import computing
from facility.columnar.estimating import (
    Cost,
    Estimate,
    Measured,
    Option,
    cost_of,
    makespan,
    options,
    size,
    span,
)


@pytest.mark.parametrize(
    ("small", "large", "cost"),
    [
        ((100, 2.0), None, Cost(0, 0.02)),
        ((100, 2.0), (200, 3.0), Cost(1, 0.01)),
        ((100, 1.0), (200, 3.0), Cost(0, 0.015)),  # no negative part of its own
        ((100, 2.0), (200, 1.0), Cost(0, 0.005)),  # no events that give time back
        ((100, 2.0), (100, 9.0), Cost(0, 0.02)),
        ((0, 2.0), None, Cost(0, 2.0)),
    ],
)
def test_costs(small, large, cost):
    found = cost_of(Measured(*small, 0), large and Measured(*large, 0))
    assert found.chunk_s == pytest.approx(cost.chunk_s)
    assert found.event_s == pytest.approx(cost.event_s)


@pytest.mark.parametrize(
    ("seconds", "workers", "end"),
    [
        ([], 4, 0),
        ([3], 4, 3),
        ([1, 1, 1, 1], 2, 2),
        ([1, 1, 1, 1, 1], 2, 3),
        ([4, 1, 1, 1], 2, 4),
        ([1, 1, 1, 4], 2, 5),  # in order: the long one begins last
    ],
)
def test_makespans(seconds, workers, end):
    assert makespan(seconds, workers) == end


@given(st.lists(st.floats(0, 100)), st.integers(1, 20))
def test_a_makespan_is_between_its_bounds(seconds, workers):
    least = max([math.fsum(seconds) / workers, *seconds], default=0)
    found = makespan(seconds, workers)
    assert least * (1 - 1e-9) <= found <= 2 * least + 1e-9


def test_no_workers_raises():
    with pytest.raises(ValueError, match="at least 1 worker, got 0"):
        makespan([1], 0)


def test_options_are_for_workers_that_have_something_to_do():
    found = options([100, 100, 50], Cost(1, 0.01), 8, workers=(1, 2, 4))
    assert found == (
        Option("1 worker", 2 + 2 + 1.5, 800),
        Option("2 workers", 2 + 1.5, 1600),
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.4, "9.4 s"), (15, "15 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_spans(seconds, said):
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (56e6, "56 MB"), (7.8e12, "7.8 TB")],
)
def test_sizes(count, said):
    assert size(count) == said


ESTIMATE = Estimate(
    4_000_000, 8, ("a", "b"), 160_000_000, 2.5, (Option("1 worker", 3.21, 2 * 10**8),)
)


def test_an_estimate_is_shown_as_a_table():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(ESTIMATE)
    for shown in (str(ESTIMATE), ESTIMATE._repr_html_(), console.export_text()):
        for text in (
            "4,000,000 events",
            "160 MB",
            "1 worker",
            "3.2 s",
            "200 MB",
            "2.5 s once",
        ):
            assert text in shown


def test_a_plan_of_real_files(files, dimuon_analysis):
    dataset = Dataset([files["ttree"], files["rntuple"]], chunk_events=300)
    estimate = dataset.plan(dimuon_analysis, workers=(1, 2, 400))
    assert estimate.events == 2100
    assert estimate.chunks == len(dataset.chunks())
    assert "Muon_pt" in estimate.branches
    one, two = estimate.options
    assert one.seconds >= two.seconds > 0
    assert two.memory_bytes == pytest.approx(2 * one.memory_bytes, abs=1)
    assert one.memory_bytes > 300 * 4 * 4
    real = dataset.run(dimuon_analysis, on="serial", progress=False).provenance
    assert 0.2 < estimate.bytes_read / real.bytes_read < 5


def test_a_plan_has_a_gpu_where_there_is_one(ttree, monkeypatch):
    def analysis(events):
        if computing().wanted == "cuda":
            computing().used = "cuda"
        return len(events)

    assert "1 GPU" not in str(Dataset(ttree).plan(analysis))
    monkeypatch.setattr(probing, "why_no_cuda", lambda package: "")
    assert [o.what for o in Dataset(ttree).plan(analysis).options] == [
        "1 worker",
        "1 GPU",
    ]
    assert "GPU" not in str(Dataset(ttree).plan(lambda e: len(e.nMuon)))


def test_a_plan_of_nothing(tmp_path):
    import uproot

    with uproot.recreate(tmp_path / "empty.root") as file:
        file.mktree("Events", {"x": "float32"})
    estimate = Dataset(tmp_path / "empty.root").plan(lambda e: len(e.x))
    assert (estimate.events, estimate.options) == (0, ())


def test_a_plan_says_what_is_missing(ttree):
    with pytest.raises(MissingBranchError, match="did you mean Muon_pt"):
        Dataset(ttree).plan(lambda e: len(e.Muon_Pt))
