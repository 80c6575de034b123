"""Files behind HTTP: the same columns, from servers that fail, lie, or are not there."""

import re
import threading

import awkward as ak
import numpy as np
import pytest

from facility.columnar import ChunkError, Dataset, DatasetError
from facility.columnar.errors import ReadError
from facility.columnar.executors.local import cores
from facility.columnar.remote import files as remote_files
from facility.columnar.remote.patience import Patience

pytestmark = pytest.mark.engines

FILES = ("tree.root", "ntuple.root", "table.parquet")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait less for servers that fail here on purpose."""
    monkeypatch.setattr(remote_files, "Patience", lambda: Patience(first_s=0.01))


def sums(events):
    pt = np.asarray(ak.flatten(events.Muon.pt), np.float64)
    return {
        "events": len(events),
        "muons": int(np.sum(events.nMuon)),
        "pt": float(np.round(pt, 1).sum()),
        "plain": int(events.plain(["Muon_eta"])["Muon_eta"].offsets[-1]),
    }


@pytest.fixture
def truth(made):
    muons = int(np.sum(made["nMuon"]))
    pt = np.asarray(ak.flatten(made["Muon_pt"]), np.float64)
    return {
        "events": len(made["nMuon"]),
        "muons": muons,
        "pt": pytest.approx(float(np.round(pt, 1).sum())),
        "plain": muons,
    }


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("on", ["serial", "threads"])
def test_columns_are_those_of_the_file(http, truth, name, on):
    dataset = Dataset(f"{http.url}/{name}", chunk_events=1000)
    result = dataset.run(sums, on=on, progress=False)
    assert result.value == truth
    (identity,) = result.provenance.files
    assert identity.path == f"{http.url}/{name}"
    assert identity.size_bytes == (http.folder / name).stat().st_size
    assert identity.etag


@pytest.mark.parametrize("name", FILES)
def test_a_server_that_fails_now_and_then_is_not_noticed(http, truth, name):
    http.behaviour.fail_every = 3
    result = Dataset(f"{http.url}/{name}", chunk_events=1000).run(sums, progress=False)
    assert result.value == truth
    assert http.behaviour.failed >= 3


def test_only_what_is_needed_is_sent(http):
    dataset = Dataset(f"{http.url}/tree.root")
    before = http.behaviour.sent_bytes
    dataset.run(lambda e: float(np.sum(e.MET_pt)), on="serial", progress=False)
    baskets = (http.folder / "tree.root").stat().st_size
    assert http.behaviour.sent_bytes - before < 2 * baskets


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("no.root", {}, r"no such file \(HTTP status 404\): check the path"),
        ("tree.root", {"forbidden": True}, r"permission denied \(HTTP status 403\)"),
        ("tree.root", {"has_ranges": False}, r"cannot be read in parts"),
        ("tree.root", {"fail_every": 1}, r"cannot be reached .*: try again later"),
        ("noises.root", {}, r"noises.root begins with b'this', expected a ROOT"),
    ],
)
def test_what_cannot_be_opened_is_one_line(http, path, change, message):
    for name, value in change.items():
        setattr(http.behaviour, name, value)
    with pytest.raises(DatasetError, match=message) as caught:
        Dataset(f"{http.url}/{path}")
    assert str(caught.value).startswith(http.url)
    assert "\n" not in str(caught.value)


def test_a_host_that_does_not_exist():
    with pytest.raises(DatasetError, match=r"no such host .*: check the spelling"):
        Dataset("http://nowhere.invalid/tree.root")


def test_a_file_that_changes_during_a_run_is_not_mixed(http, folder, tmp_path):
    content = (folder / "tree.root").read_bytes()
    served = tmp_path / "tree.root"
    served.write_bytes(content)
    http.folder = tmp_path
    dataset = Dataset(f"{http.url}/tree.root", chunk_events=1000)

    def analysis(events):
        if len(events):
            served.write_bytes(content + b"more")
        return int(np.sum(events.nMuon))

    with pytest.raises(ChunkError, match="changed while it was analysed"):
        dataset.run(analysis, on="serial", progress=False)


def test_a_server_that_dies_names_the_chunk_and_can_be_skipped(http):
    dataset = Dataset(f"{http.url}/tree.root", chunk_events=1000)

    def analysis(events):
        if events._start == 2000:
            http.behaviour.fail_every = 1
        return {"muons": int(np.sum(events.nMuon))}

    with pytest.raises(ReadError, match=re.escape(f"{http.url}/tree.root")):
        dataset.run(analysis, on="serial", progress=False)
    http.behaviour.fail_every = 0
    result = dataset.run(analysis, on="serial", on_error="skip", progress=False)
    assert len(result.provenance.skipped) == 2
    assert result.provenance.events == 2000


def test_more_chunks_than_cores_are_on_their_way(http):
    """While some wait for bytes, as many as there are cores can compute."""
    dataset = Dataset(f"{http.url}/tree.root", chunk_events=100, cache="never")
    together = threading.Barrier(cores() + 1)

    def analysis(events):
        if events._start < 100 * (cores() + 1):
            together.wait(timeout=30)
        return len(events.MET_pt)

    result = dataset.run(analysis, on="threads", branches=["MET_pt"], progress=False)
    assert result.value == 4000
