"""A run over files equals a plain loop, on every executor and for every chunk size."""

import re
import shutil
import subprocess
import sys

import hist
import numpy as np
import pytest

from facility.columnar import (
    AnalysisError,
    ChunkError,
    Dataset,
    MissingBranchError,
)
from facility.errors import UsageError


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet"])
@pytest.mark.parametrize("chunk_events", [11, 37, 100, 250, 500_000])
@pytest.mark.parametrize("on", ["serial", "threads"])
def test_the_histogram_equals_a_plain_loop(
    files, dimuon_analysis, true_counts, kind, chunk_events, on
):
    dataset = Dataset(files[kind], chunk_events=chunk_events)
    result = dataset.run(dimuon_analysis, on=on, progress=False)
    assert result.hist.values().tolist() == true_counts
    assert result.provenance.events == len(dataset) == 1050


def test_several_files_are_summed_in_order(files, dimuon_analysis, true_counts):
    dataset = Dataset([files["ttree"], files["rntuple"]], chunk_events=300)
    result = dataset.run(dimuon_analysis, progress=False)
    assert result.hist.values().tolist() == [2 * n for n in true_counts]
    assert [f.path for f in result.provenance.files] == [
        str(files["ttree"]),
        str(files["rntuple"]),
    ]


def test_floating_point_sums_are_the_same_bits_everywhere(ttree):
    def weighted(events):
        x = np.asarray(events.nMuon, dtype=float)
        axis = hist.axis.Regular(1, 0, 10)
        return hist.Hist(axis, storage=hist.storage.Weight()).fill(
            x, weight=np.sin(np.arange(len(x))) * 1e10 ** (x - 2)
        )

    dataset = Dataset(ttree, chunk_events=50)
    results = [
        dataset.run(weighted, on=on, progress=False).hist.view(flow=True).tobytes()
        for on in ("serial", "threads", "threads")
    ]
    assert len(set(results)) == 1


def test_branches_are_found_without_reading_events(ttree, dimuon_analysis):
    dataset = Dataset(ttree)
    file = dataset._first
    before = file.bytes_read
    found = dataset.branches_of(dimuon_analysis)
    assert set(found) == {"nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge"}
    assert file.bytes_read == before


def test_only_the_touched_branches_are_read(ttree):
    everything = Dataset(ttree).run(
        lambda e: sum(len(e[name]) for name in e.columns), on="serial", progress=False
    )
    one = Dataset(ttree).run(lambda e: len(e.nMuon), on="serial", progress=False)
    assert one.value == 1050
    assert 0 < one.provenance.bytes_read < everything.provenance.bytes_read / 5


def test_an_analysis_that_needs_an_event_still_runs(ttree):
    def hardest(events):
        return {int(np.max(np.asarray(events.nMuon))): len(events)}

    result = Dataset(ttree, chunk_events=100).run(hardest, progress=False)
    assert result.provenance.branches == ()
    assert sum(result.value.values()) == 1050


def test_a_dataset_without_events_gives_an_empty_result(tmp_path, dimuon_analysis):
    import uproot

    with uproot.recreate(tmp_path / "empty.root") as file:
        file.mktree(
            "Events",
            {"Muon": "var * {pt: float32, eta: float32, phi: float32, charge: int32}"},
        )
    result = Dataset(tmp_path / "empty.root").run(dimuon_analysis, progress=False)
    assert result.hist.sum(flow=True) == 0
    assert result.provenance.events == 0


@pytest.mark.parametrize("on", ["serial", "threads"])
def test_a_missing_branch_is_said_before_any_chunk_runs(ttree, on):
    with pytest.raises(MissingBranchError, match="did you mean Muon_pt"):
        Dataset(ttree).run(lambda e: len(e.Muon_Pt), on=on, progress=False)
    with pytest.raises(MissingBranchError, match="did you mean nMuon"):
        Dataset(ttree).run(len, branches=["nMuons"], on=on, progress=False)


@pytest.mark.parametrize("on", ["serial", "threads"])
def test_a_failing_analysis_names_the_entries(ttree, on):
    def fails(events):
        if len(events):
            raise ZeroDivisionError("by hand")
        return 0

    with pytest.raises(ChunkError, match=r"entries \d+\.\.\d+ of .*by hand") as caught:
        Dataset(ttree, chunk_events=100).run(fails, on=on, progress=False)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_forgotten_return_is_said(ttree):
    with pytest.raises(AnalysisError, match="did it forget to return"):
        Dataset(ttree, chunk_events=100).run(lambda _: None, progress=False)
    with pytest.raises(AnalysisError, match="did it forget to return"):
        Dataset(ttree).run(lambda _: None, progress=False)


def test_an_unknown_place_is_refused(ttree):
    with pytest.raises(
        UsageError, match="expected 'threads', 'processes', 'serial', 'batch', an"
    ):
        Dataset(ttree).run(len, on="gpu", progress=False)


def test_the_bar_shows_events_and_bytes(ttree, capfd):
    Dataset(ttree, chunk_events=100).run(lambda e: len(e.Muon_pt), on="serial")
    shown = capfd.readouterr().err
    assert "1.05k/1.05k" in shown
    assert "events/s" in shown
    assert "MB/s" in shown
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown), "since then, and what is left"


MANY_FILES = """
import resource, sys
import shutil
import subprocess
import sys
from pathlib import Path
from facility.columnar import Dataset

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
in_use = len(list(Path("/proc/self/fd").iterdir()))
resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 30, hard))
dataset = Dataset(sys.argv[1])
print(dataset.run(lambda e: len(e.nMuon), on="serial", progress=False).value)
"""


def test_more_files_than_may_be_open(tmp_path, ttree):
    for i in range(40):
        shutil.copy(ttree, tmp_path / f"{i}.root")
    done = subprocess.run(
        [sys.executable, "-c", MANY_FILES, tmp_path / "*.root"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{40 * 1050}\n", done.stderr
