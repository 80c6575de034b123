"""TTree, RNTuple and Parquet: the same columns; bad files are told apart."""

import awkward as ak
import pytest
import uproot

from facility.columnar import ChunkError, Dataset, DatasetError
from facility.columnar.formats import open_columns, reopen

CLUSTER, EVENTS = 100, 1050  # of the files in conftest

CLUSTER, EVENTS = 100, 1050  # what conftest.py wrote
FORMATS = ("ttree", "rntuple", "parquet")


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_and_entries(files, muons, kind):
    file = open_columns(files[kind])
    assert file.entries == EVENTS
    assert {"nMuon", "Muon_pt"} <= set(file.columns)
    for start, stop in ((0, EVENTS), (30, 40), (95, 205), (7, 7)):
        read = file.read("Muon_pt", start, stop)
        assert read.to_list() == muons.pt[start:stop].to_list()


@pytest.mark.parametrize("kind", FORMATS)
def test_boundaries_are_those_of_the_clusters(files, kind):
    expected = [*range(0, EVENTS, CLUSTER), EVENTS]
    assert open_columns(files[kind]).boundaries() == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_reading_counts_bytes(files, kind):
    file = open_columns(files[kind])
    before = file.bytes_read
    file.read("Muon_pt", 0, EVENTS)
    size = files[kind].stat().st_size
    assert EVENTS < file.bytes_read - before < size


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_file_is_one_clear_line(files, tmp_path, kind, fraction):
    whole = files[kind].read_bytes()
    path = tmp_path / files[kind].name
    path.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(DatasetError, match=r"truncated|empty|cannot be read") as caught:
        Dataset(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_kind_of_file_is_named_by_its_first_bytes(tmp_path):
    path = tmp_path / "x.root"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DatasetError, match=r"begins with b'<htm', expected a ROOT"):
        Dataset(path)


def test_damaged_metadata_is_a_dataset_error(files, tmp_path):
    path = tmp_path / "damaged.root"
    data = bytearray(files["ttree"].read_bytes())
    data[100:400] = b"\xff" * 300
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="copy"):
        Dataset(path, tree="Events")


def test_the_tree_is_found_or_asked_for(tmp_path):
    path = tmp_path / "two.root"
    with uproot.recreate(path) as file:
        file.mktree("signal", {"x": "int32"}).extend({"x": [1, 2]})
        file.mktree("background", {"x": "int32"}).extend({"x": [1]})
        file["title"] = "text"
    with pytest.raises(DatasetError, match=r"2 trees.*signal, background"):
        Dataset(path)
    with pytest.raises(DatasetError, match="no tree 'signl': it has signal"):
        Dataset(path, tree="signl")
    with pytest.raises(DatasetError, match="expected a TTree"):
        Dataset(path, tree="title")
    assert len(Dataset(path, tree="signal")) == 2


def test_a_file_without_trees(tmp_path):
    with uproot.recreate(tmp_path / "none.root") as file:
        file["title"] = "text"
    with pytest.raises(DatasetError, match="no TTree or RNTuple"):
        Dataset(tmp_path / "none.root")


def test_a_file_that_changed_since_planning_is_refused(files, tmp_path, muons):
    path = tmp_path / "tree.root"
    path.write_bytes(files["ttree"].read_bytes())
    identity = open_columns(path).identity
    assert reopen(identity, "Events").entries == EVENTS
    path.write_bytes(files["rntuple"].read_bytes())
    with pytest.raises(ChunkError, match="changed while"):
        reopen(identity, "Events")
    path.unlink()
    with pytest.raises(ChunkError, match="cannot be opened now"):
        reopen(identity, "Events")


def test_branches_below_objects_go_by_their_own_name(tmp_path):
    path = tmp_path / "vector.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("t", {"jets": "var * {pt: float64}"})
        tree.extend({"jets": ak.zip({"pt": ak.Array([[1.0], [], [2.0, 3.0]])})})
    assert Dataset(path).run(
        lambda events: float(ak.sum(events.jets_pt)), on="serial", progress=False
    ).value == pytest.approx(6.0)
