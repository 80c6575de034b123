"""Files seen before: their plans are found, and only if nothing changed."""

import os
import shutil

import awkward as ak
import numpy as np
import pytest
import uproot

from facility.columnar.baskets import store
from facility.columnar.errors import ChunkError
from facility.columnar.formats import open_columns, plan_cache

NAMES = ["nMuon", "Muon_pt", "Muon_charge"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache folder of this test's own; nothing is kept in memory."""
    monkeypatch.setattr(plan_cache, "KIND", str(tmp_path / "plans"))
    monkeypatch.setattr(plan_cache, "_kept", type(plan_cache._kept)())
    return tmp_path / "plans"


def forget() -> None:
    """Do as a new process does."""
    plan_cache._kept.clear()


@pytest.fixture
def tree(files, tmp_path):
    return shutil.copy2(files["ttree"], tmp_path / "tree.root")


@pytest.fixture
def no_uproot(monkeypatch):
    def refuse():
        def opened(*_, **__):
            raise AssertionError("uproot opened the file")

        monkeypatch.setattr(uproot, "open", opened)

    return refuse


def said_of(file):
    return {
        "tree": file.tree,
        "entries": file.entries,
        "columns": list(file.columns),
        "boundaries": file.boundaries(),
        "types": [file.type_of(c) for c in file.columns],
        "sizes": [file.size_of(c) for c in file.columns],
    }


@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
@pytest.mark.parametrize("tree", [None, "Events"])
def test_a_file_seen_before_says_the_same_without_uproot(files, kind, tree, no_uproot):
    first = said_of(open_columns(files[kind], tree))
    no_uproot()
    assert said_of(open_columns(files[kind], tree)) == first
    forget()
    assert said_of(open_columns(files[kind], tree)) == first


def test_plain_columns_of_a_file_seen_before_need_no_uproot(tree, muons, no_uproot):
    open_columns(tree)
    no_uproot()
    forget()
    file = open_columns(tree)
    columns = file.plain(NAMES, 150, 250)
    assert (
        columns["Muon_pt"].content.tolist() == ak.flatten(muons.pt[150:250]).to_list()
    )
    assert file.read("Muon_pt", 150, 250).to_list() == muons.pt[150:250].to_list()
    assert file.read("Muon_pt", 7, 7).to_list() == []


def test_a_changed_file_has_another_plan(tree):
    open_columns(tree)
    with uproot.recreate(tree) as file:
        file.mktree("Events", {"x": "int32"}).extend({"x": np.arange(3)})
    file = open_columns(tree)
    assert list(file.columns) == ["x"]
    assert file.plain(["x"], 0, 3)["x"].content.tolist() == [0, 1, 2]


def test_a_touched_file_is_looked_at_again(tree, no_uproot):
    open_columns(tree)
    os.utime(tree, ns=(1, 1))
    no_uproot()
    with pytest.raises(Exception, match="uproot opened the file"):
        open_columns(tree)


def test_damaged_and_lost_plans_are_made_again(tree, folder):
    before = said_of(open_columns(tree))
    for entry in folder.iterdir():
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 0xFF
        entry.write_bytes(data)
    forget()
    assert said_of(open_columns(tree)) == before
    shutil.rmtree(folder)
    forget()
    assert said_of(open_columns(tree)) == before


def test_positions_that_are_lost_or_damaged_come_from_the_file(tree, folder, muons):
    open_columns(tree)
    (body,) = folder.glob("*-baskets")
    data = bytearray(body.read_bytes())
    data[16:] = os.urandom(len(data) - 16)
    for rewrite in (lambda: body.write_bytes(data), body.unlink):
        rewrite()
        forget()
        columns = open_columns(tree).plain(NAMES, 0, 1050)
        assert columns["nMuon"].content.tolist() == ak.num(muons.pt).to_list()


def test_without_a_folder_everything_works(tree, muons, monkeypatch):
    monkeypatch.setattr(store, "_folder", lambda kind, make=False: None)
    for _ in range(2):
        assert (
            open_columns(tree).read("Muon_pt", 0, 9).to_list() == muons.pt[:9].to_list()
        )
        forget()


def test_damaged_baskets_are_named(tree):
    file = open_columns(tree)
    baskets = file._baskets("Muon_pt")
    data = bytearray(tree.read_bytes())
    data[int(baskets.seeks[2]) + 120] ^= 0xFF
    stat = tree.stat()
    tree.write_bytes(data)
    os.utime(tree, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(ChunkError, match=r"'Muon_pt', basket 2 \(entries 200\.\.300\)"):
        open_columns(tree).plain(["Muon_pt"], 0, 1050)
