"""Files behind a real XRootD server."""

import os

import awkward as ak
import numpy as np
import pytest

from facility.columnar import Dataset, DatasetError

pytestmark = pytest.mark.engines

FILES = ("tree.root", "ntuple.root", "table.parquet")


def sums(events):
    pt = np.asarray(ak.flatten(events.Muon.pt), np.float64)
    return {"muons": int(np.sum(events.nMuon)), "pt": float(np.round(pt, 1).sum())}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("on", ["serial", "threads"])
def test_columns_are_those_of_the_file(xrootd, made, name, on):
    dataset = Dataset(f"{xrootd.url}/{name}", chunk_events=1000)
    result = dataset.run(sums, on=on, progress=False)
    pt = np.asarray(ak.flatten(made["Muon_pt"]), np.float64)
    assert result.value == {
        "muons": int(np.sum(made["nMuon"])),
        "pt": pytest.approx(float(np.round(pt, 1).sum())),
    }
    (identity,) = result.provenance.files
    stat = (xrootd.folder / name).stat()
    assert identity.size_bytes == stat.st_size
    assert identity.modified_ns == int(stat.st_mtime) * 10**9


def test_globs_and_folders(xrootd):
    names = [f"{xrootd.url}/{n}" for n in ("ntuple.root", "tree.root")]
    dataset = Dataset(f"{xrootd.url}/*e.root")
    assert [f.identity.path for f in dataset._inputs.files] == names
    with pytest.raises(DatasetError, match="no file matches"):
        Dataset(f"{xrootd.url}/*.parq")


def test_a_server_that_restarts_is_waited_for(xrootd, made):
    dataset = Dataset(f"{xrootd.url}/tree.root", chunk_events=1000)

    def analysis(events):
        if events._start == 1000:
            xrootd.kill()
            xrootd.start()
        return int(np.sum(events.nMuon))

    result = dataset.run(analysis, on="serial", progress=False)
    assert result.value == int(np.sum(made["nMuon"]))


def test_what_cannot_be_opened_is_one_line(xrootd, folder):
    locked = folder / "locked.root"
    locked.write_bytes(b"root")
    locked.chmod(0)
    cases = {
        f"{xrootd.url}/no.root": "no such file",
        f"root://localhost:{xrootd.port}//etc/passwd": "permission denied",
        "root://nowhere.invalid//data/tree.root": "no such host",
    }
    if os.geteuid() == 0:  # the server is somebody else then
        cases[f"{xrootd.url}/locked.root"] = "permission denied"
    for url, message in cases.items():
        with pytest.raises(DatasetError, match=message) as caught:
            Dataset(url)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(url.partition("//")[0])
