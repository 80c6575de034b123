"""Chunk ranges as jobs: a submitter of ours really runs the command, elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar import AnalysisError, Batch, ChunkError, Dataset
from facility.columnar.executors import batch
from facility.columnar.executors.batch import ResubmittedWarning, cut
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.errors import UsageError


class Job:
    """Elements run one by one, when somebody waits; each in a folder of its own."""

    def __init__(self, site: Site, command: list[str], count: int) -> None:
        site.jobs.append(self)
        self.id = str(len(site.jobs))
        self.folder = site.folder / self.id
        self.status = "running"
        self.waits = 0
        self._site = site
        self._command = command
        self._left = list(range(count))
        # The snapshot: what is there when the job is submitted.
        self._frozen = self.folder / "frozen"
        shutil.copytree(command[-1], self._frozen)

    @property
    def is_done(self) -> bool:
        return self.status != "running"

    @property
    def outputs(self) -> list[Path]:
        found = self.folder.rglob("outputs/**/*")
        return sorted(path for path in set(found) if path.is_file())

    def wait(self, timeout: float | None = None) -> None:
        if self.is_done:
            return
        element = self._left.pop(0)
        code = 0
        if not self._site.is_lost(self.id, element):
            outputs = self.folder / str(element) / "outputs"
            outputs.mkdir(parents=True)
            environment = {**os.environ, "FACILITY_JOB_INDEX": str(element)}
            code = subprocess.run(
                [*self._command[:-1], self._frozen],
                cwd=outputs,
                env=environment,
                check=False,
                stderr=subprocess.DEVNULL,
            ).returncode
        if not self._left:
            self.status = "failed" if code else self._site.end
        else:
            raise TimeoutError

    def cancel(self) -> bool:
        self.status = "cancelled"
        return True


class Site:
    """Somewhere else; loses the elements that a test names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[Job] = []
        self.asked: list[dict[str, Any]] = []
        self.end = "succeeded"
        self.is_lost: Callable[[str, int], bool] = lambda _job, _element: False

    def submit(self, command: list[str], *, count: int, **options: Any) -> Job:
        self.asked.append({"count": count, **options})
        return Job(self, list(command), count)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Site(tmp_path / "site")


def weighted(events: Any) -> hist.Hist:
    """Floating-point weights: sums depend on their order."""
    counts = np.asarray(events.nMuon)
    axis = hist.axis.Regular(5, 0, 5, name="n")
    return hist.Hist(axis, storage=hist.storage.Double()).fill(
        counts, weight=1 / (3 + np.arange(len(counts)))
    )


def test_same_bits_as_serial(site: Site, ttree: Path, tmp_path: Path) -> None:
    dataset = Dataset(ttree, chunk_events=100)
    here = dataset.run(weighted, on="serial", progress=False)
    there = dataset.run(
        weighted, on=Batch(jobs=2, submit=site.submit, site="slurm"), progress=False
    )
    assert there.hist.values().tobytes() == here.hist.values().tobytes()
    assert there.provenance.executor == "batch"
    assert [c.index for c in there.provenance.chunks] == list(range(11))
    elements = [where.partition(" ")[2] for where in there.provenance.workers]
    assert elements == ["(job 1.0)", "(job 1.1)"]
    (asked,) = site.asked
    assert (asked["count"], asked["site"]) == (2, "slurm")
    assert asked["inputs"][1:] == [ttree]
    assert list((tmp_path / "cache/analysis-facility/batch").iterdir()) == []


def test_what_is_lost_is_sent_again_and_counted_once(site: Site, ttree: Path) -> None:
    dataset = Dataset(ttree, chunk_events=100)
    here = dataset.run(weighted, on="serial", progress=False)
    site.is_lost = lambda job, element: job == "1" and element == 1
    site.end = "timed_out"
    with pytest.warns(
        ResubmittedWarning, match="job 1 timed_out, chunks that are sent again: ."
    ):
        there = dataset.run(
            weighted, on=Batch(jobs=3, submit=site.submit), progress=False
        )
    assert there.hist.values().tobytes() == here.hist.values().tobytes()
    assert len(site.jobs) == 2
    assert len({c.index for c in there.provenance.chunks}) == 11


@pytest.mark.filterwarnings(
    "ignore::facility.columnar.executors.batch.ResubmittedWarning"
)
def test_what_never_comes_back_is_given_up(site: Site, ttree: Path) -> None:
    site.is_lost = lambda _job, element: element == 0
    site.end = "out_of_memory"
    with pytest.raises(ChunkError, match=r"by 3 jobs \(1, 2, 3\): `facility logs 3`"):
        Dataset(ttree).run(weighted, on=Batch(submit=site.submit), progress=False)
    assert len(site.jobs) == batch.ATTEMPTS


def test_a_cancelled_job_is_not_sent_again(site: Site, ttree: Path) -> None:
    site.is_lost = lambda _job, _element: True
    site.end = "cancelled"
    with pytest.raises(
        ChunkError, match="job 1 was cancelled, chunks not computed: 1;"
    ):
        Dataset(ttree).run(weighted, on=Batch(submit=site.submit), progress=False)
    assert len(site.jobs) == 1


def test_the_persons_error_ends_the_job_and_has_its_traceback(
    site: Site, ttree: Path
) -> None:
    def broken(events: Any) -> Any:
        if len(events):
            raise ZeroDivisionError("no such mass")
        return 0

    dataset = Dataset(ttree, chunk_events=100)
    with pytest.raises(ChunkError, match="ZeroDivisionError: no such mass") as caught:
        dataset.run(broken, on=Batch(jobs=4, submit=site.submit), progress=False)
    assert "in broken" in "".join(caught.value.__notes__)
    assert [job.status for job in site.jobs] == ["cancelled"]


def test_an_analysis_that_returns_nothing_is_said_as_everywhere(
    site: Site, ttree: Path
) -> None:
    with pytest.raises(AnalysisError, match="forget to return"):
        Dataset(ttree).run(
            lambda events: None, on=Batch(submit=site.submit), progress=False
        )


def test_a_result_that_cannot_travel_is_an_error(site: Site, ttree: Path) -> None:
    with pytest.raises(ChunkError, match="cannot be sent back"):
        Dataset(ttree).run(
            lambda events: (n for n in range(3)),
            on=Batch(submit=site.submit),
            progress=False,
        )


@pytest.mark.filterwarnings(
    "ignore::facility.columnar.executors.batch.ResubmittedWarning"
)
def test_a_file_that_a_node_lacks_is_tried_elsewhere(
    site: Site, ttree: Path, tmp_path: Path
) -> None:
    data = shutil.copy2(ttree, tmp_path / "data.root")
    dataset = Dataset(data)

    def on_a_node_without_it(job: str, _element: int) -> bool:
        data.rename(data) if job == "2" else data.rename(tmp_path / "away")
        return False

    def submit(command: list[str], **options: Any) -> Job:
        if (tmp_path / "away").exists():
            (tmp_path / "away").rename(data)
        return site.submit(command, **options)

    site.is_lost = on_a_node_without_it
    result = dataset.run(weighted, on=Batch(submit=submit), progress=False)
    assert result.hist.sum() > 0
    assert len(site.jobs) == 2


def test_data_that_travels_has_another_time_there(
    site: Site, ttree: Path, tmp_path: Path
) -> None:
    data = shutil.copy2(ttree, tmp_path / "data.root")
    dataset = Dataset(data)

    def copied(_job: str, _element: int) -> bool:
        os.utime(data, (1, 1))
        return False

    site.is_lost = copied
    assert dataset.run(weighted, on=Batch(submit=site.submit), progress=False)
    os.utime(data)
    shared = Batch(submit=site.submit, send_data=False)
    with pytest.raises(ChunkError, match="changed while it was analysed"):
        Dataset(data).run(weighted, on=shared, progress=False)


def test_data_at_urls_stay_there(site: Site, ttree: Path) -> None:
    dataset = Dataset(f"local://{ttree}", chunk_events=500)
    here = dataset.run(weighted, on="serial", progress=False)
    there = dataset.run(weighted, on=Batch(submit=site.submit), progress=False)
    assert there.hist.values().tobytes() == here.hist.values().tobytes()
    assert len(site.asked[0]["inputs"]) == 1


def test_data_that_changes_while_it_is_sent_is_noticed(
    site: Site, ttree: Path, tmp_path: Path
) -> None:
    data = shutil.copy2(ttree, tmp_path / "data.root")

    def submit(command: list[str], **options: Any) -> Job:
        os.utime(data)
        return site.submit(command, **options)

    with pytest.raises(ChunkError, match="changed while it was sent"):
        Dataset(data).run(weighted, on=Batch(submit=submit), progress=False)
    assert [job.status for job in site.jobs] == ["cancelled"]


def test_results_of_another_run_and_damaged_ones(
    site: Site, ttree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(job: str, element: int) -> bool:
        folder = site.folder / job / "-/outputs"
        folder.mkdir(parents=True)
        (folder / "chunk-0123456789abcdef-0.pickle").write_bytes(b"of another run")
        return False

    site.is_lost = spoil
    assert Dataset(ttree).run(weighted, on=Batch(submit=site.submit), progress=False)
    monkeypatch.setattr(batch, "index_of", lambda _path, _run: 0)
    with pytest.raises(ChunkError, match="cannot be read here"):
        Dataset(ttree).run(weighted, on=Batch(submit=site.submit), progress=False)


def test_by_its_name_jobs_are_sent_as_a_person_does(
    site: Site, ttree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facility.client.jobs.submit", site.submit)
    assert Dataset(ttree).run(weighted, on="batch", progress=False).hist.sum() > 0
    assert site.asked[0]["name"] == "1050 events"


def test_no_elements_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1, got 0"):
        Batch(jobs=0)


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=60),
    parts=st.integers(1, 20),
)
def test_every_chunk_is_in_one_range_in_order(sizes: list[int], parts: int) -> None:
    identity = FileIdentity("f", "", 0, 0)
    chunks = [Chunk(i, identity, "t", 0, size) for i, size in enumerate(sizes)]
    ranges = cut(chunks, parts)
    assert [chunk for part in ranges for chunk in part] == chunks
    assert all(ranges)
    assert len(ranges) <= parts
    # None is longer than a fair share by more than a chunk.
    longest = max(sum(c.events for c in part) for part in ranges)
    assert longest <= sum(sizes) / parts + max(sizes)
