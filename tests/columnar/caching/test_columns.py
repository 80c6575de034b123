"""A second run reads nothing from the file, and gives the same bits."""

import awkward as ak
import numpy as np
import pytest

from facility.columnar import Dataset
from facility.columnar.caching import cached, columns
from facility.columnar.formats import open_columns
from facility.errors import UsageError

NAMES = ["Muon_pt", "nMuon", "Muon_charge"]


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet"])
def test_a_second_run_reads_no_data(files, dimuon_analysis, used, kind):
    dataset = Dataset(files[kind], chunk_events=300, cache="always")
    first, second = (
        dataset.run(dimuon_analysis, on="serial", progress=False) for _ in range(2)
    )
    plain = Dataset(files[kind], chunk_events=300, cache="never")
    third = plain.run(dimuon_analysis, on="serial", progress=False)
    assert first.value == second.value == third.value
    assert first.provenance.bytes_read > 0
    assert second.provenance.bytes_read == 0
    assert third.provenance.bytes_read > 0


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet"])
def test_columns_are_the_same_as_without(files, store, kind):
    file = open_columns(files[kind])
    kept = columns.CachedColumns(file, store)
    truth = file.plain(NAMES, 10, 300)
    for names in (NAMES[:2], NAMES, NAMES):  # none, some and all are kept
        found = kept.plain(names, 10, 300)
        assert list(found) == names
        for name in names:
            assert found[name].content.dtype == truth[name].content.dtype
            assert np.array_equal(found[name].content, truth[name].content)
        if len(names) == 3:
            pt, charge = found["Muon_pt"], found["Muon_charge"]
            assert np.array_equal(pt.offsets, truth["Muon_pt"].offsets)
            if file.type_of("Muon_pt").counts:
                assert pt.offsets is charge.offsets


def test_contents_are_kept_with_their_offsets(ttree, store):
    file = open_columns(ttree)
    kept = columns.CachedColumns(file, store)
    truth = file.plain(["Muon_pt"], 10, 300)["Muon_pt"]
    for contents in (["Muon_pt"], ["Muon_pt"], []):
        found = kept.plain(["Muon_pt"], 10, 300, None, contents)["Muon_pt"]
        assert np.array_equal(found.content, truth.content)
        assert (found.offsets is None) == bool(contents)
    assert np.array_equal(found.offsets, truth.offsets)


def test_arrays_are_the_same_as_without(ttree, store):
    file = open_columns(ttree)
    kept = columns.CachedColumns(file, store)
    for _ in range(2):
        for name in NAMES:
            mine, truth = kept.read(name, 5, 95), file.read(name, 5, 95)
            assert mine.type == truth.type
            assert ak.array_equal(mine, truth)
        assert len(kept.read("Muon_pt", 5, 5)) == 0
    assert kept.entries == file.entries


def test_another_range_or_another_file_is_another_key(files, store):
    kept = columns.CachedColumns(open_columns(files["ttree"]), store)
    other = columns.CachedColumns(open_columns(files["rntuple"]), store)
    kept.plain(["nMuon"], 0, 100)
    assert kept._kept("nMuon", 0, 100, {}) is not None
    assert kept._kept("nMuon", 0, 99, {}) is None
    assert other._kept("nMuon", 0, 100, {}) is None


def test_offsets_that_went_are_read_again(ttree, store):
    kept = columns.CachedColumns(open_columns(ttree), store)
    truth = kept.plain(["Muon_pt"], 0, 100)["Muon_pt"]
    store._path(kept._key(kept._lists("Muon_pt"), 0, 100)).unlink()
    again = kept.plain(["Muon_pt"], 0, 100)["Muon_pt"]
    assert np.array_equal(again.offsets, truth.offsets)


def test_local_files_are_not_kept_unless_asked_for(ttree, used):
    file = open_columns(ttree)
    assert cached(file, "remote") is file
    assert cached(file, "never") is file
    assert cached(file, "always") is not file


def test_no_store_is_no_cache(ttree, monkeypatch):
    monkeypatch.setattr(columns, "default_store", lambda: None)
    file = open_columns(ttree)
    assert cached(file, "always") is file


def test_an_unknown_use_is_said(ttree):
    with pytest.raises(UsageError, match="cache='yes': expected 'remote', 'always'"):
        Dataset(ttree, cache="yes")
