"""The made-up events: multiplicities, seeds, and the same whatever they are written as."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from facility.columnar.adl.sample import blocks
from facility.columnar.adl.writing import Format, parse_compression, write_sample
from facility.errors import UsageError


def test_multiplicities_are_those_of_the_full_file():
    events = ak.concatenate(list(blocks(200_000, seed=1)))
    jets = ak.to_numpy(ak.num(events.Jet)).astype(np.int64)
    assert jets.mean() == pytest.approx(3.2, abs=0.05)
    assert (jets * (jets - 1) * (jets - 2) / 6).mean() == pytest.approx(42, abs=3)
    assert ak.mean(ak.num(events.Muon)) == pytest.approx(1.89, abs=0.02)
    assert ak.mean(ak.num(events.Electron)) == pytest.approx(1.10, abs=0.02)


@pytest.mark.parametrize(
    ("form", "compression", "basket"),
    [
        (Format.TTREE, "lz4:4", 7),
        (Format.TTREE, "zlib", 1000),
        (Format.RNTUPLE, "zstd:1", 30),
        (Format.PARQUET, "zstd:1", 30),
    ],
)
def test_events_do_not_depend_on_how_they_are_written(
    tmp_path, form, compression, basket
):
    path = tmp_path / "sample"
    write_sample(
        path, 100, seed=3, compression=compression, basket_events=basket, form=form
    )
    if form is Format.PARQUET:
        read = ak.from_parquet(path)
    else:
        read = uproot.open({path: "Events"}).arrays()
    [made] = blocks(100, seed=3)
    assert read.nJet.to_list() == ak.num(made.Jet).to_list()
    assert read.nJet.type.content.primitive == "int32"
    assert read.MET_pt.to_list() == made.MET_pt.to_list()
    for name in ("Jet_btag", "Muon_pt", "Electron_charge"):
        collection, _, field = name.partition("_")
        assert read[name].to_list() == made[collection][field].to_list()
    assert list(tmp_path.iterdir()) == [path]


def test_baskets_have_the_number_of_events_asked_for(tmp_path):
    path = tmp_path / "sample.root"
    write_sample(path, 100, basket_events=30)
    with uproot.open({path: "Events"}) as tree:
        assert tree["Jet_pt"].entry_offsets == [0, 30, 60, 90, 100]


def test_another_seed_is_another_sample():
    [first], [second] = blocks(100, seed=1), blocks(100, seed=2)
    assert first.MET_pt.to_list() != second.MET_pt.to_list()


@pytest.mark.parametrize("text", ["zstd:0", "zstd:x", "zstd:", "bz2", "none:3", ""])
def test_what_is_no_compression_is_refused(text):
    with pytest.raises(UsageError, match="expected"):
        parse_compression(text)


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        write_sample(tmp_path / "file" / "a.root", 10)


def test_parquet_has_no_lzma(tmp_path):
    with pytest.raises(UsageError, match="Parquet has"):
        write_sample(tmp_path / "a", 10, compression="lzma", form=Format.PARQUET)
