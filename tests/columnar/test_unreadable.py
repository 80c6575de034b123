"""What cannot be read ends a run; or is skipped, said and counted, and nothing else."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from facility.columnar import Dataset, DatasetError
from facility.columnar.errors import ReadError
from facility.errors import UsageError


def muons(events):
    return {"muons": int(np.sum(events.nMuon)), "pt": len(events.plain(["Muon_pt"]))}


def in_basket(path):
    with uproot.open(path) as file:
        return int(file["Events/Muon_pt"].member("fBasketSeek")[0]) + 80


def in_page(path):
    with uproot.open(path) as file:
        ntuple = file["Events"]
        (field,) = (
            i for i, f in enumerate(ntuple.field_records) if f.field_name == "Muon_pt"
        )
        parents = [ntuple.field_records[c.field_id] for c in ntuple.column_records]
        (column,) = (
            i
            for i, f in enumerate(parents)
            if f.parent_field_id == field and f.field_name == "_0"
        )
        return int(ntuple.page_link_list[0][column].pages[0].locator.offset) + 4


def in_row_group(path):
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    (column,) = (c for c in columns if c.path_in_schema.startswith("Muon_pt."))
    return int(column.dictionary_page_offset or column.data_page_offset)


WHERE = {"ttree": in_basket, "rntuple": in_page, "parquet": in_row_group}


@pytest.fixture
def three(tmp_path, ttree):
    """Three copies; the second is cut short."""
    content = ttree.read_bytes()
    for name, cut in (("a", 0), ("b", 1000), ("c", 0)):
        (tmp_path / f"{name}.root").write_bytes(content[: len(content) - cut])
    return tmp_path


@pytest.fixture(params=["ttree", "rntuple", "parquet"])
def damaged(request, tmp_path, files):
    """Return a copy with noise in entries 0..100 of ``Muon_pt``."""
    whole = files[request.param]
    content = bytearray(whole.read_bytes())
    seek = WHERE[request.param](whole)
    content[seek : seek + 40] = b"\xff" * 40
    path = tmp_path / f"damaged{whole.suffix}"
    path.write_bytes(content)
    return path


def test_a_file_that_cannot_be_opened_is_said_at_once(three):
    with pytest.raises(DatasetError, match=r"b.root is truncated"):
        Dataset(three)


@pytest.mark.parametrize("on", ["serial", "threads"])
def test_a_file_that_cannot_be_opened_is_skipped_and_counted(three, muons_of, on):
    dataset = Dataset(three, on_error="skip", chunk_events=500)
    result = dataset.run(muons, on=on, progress=False)
    assert result.value["muons"] == 2 * muons_of
    assert len(dataset) == result.provenance.events == 2100
    ((chunk, why),) = result.provenance.skipped.items()
    assert chunk.file.path == str(three / "b.root")
    assert "is truncated" in why
    assert "b.root is truncated" in str(result)
    assert [f.path[-6:] for f in result.provenance.files] == [
        f"{name}.root" for name in "abc"
    ]


@pytest.fixture
def muons_of(muons):
    return sum(len(event) for event in muons.to_list())


def test_the_first_file_may_be_the_bad_one(three, muons_of):
    (three / "a.root").write_bytes(b"")
    result = Dataset(three, on_error="skip").run(muons, progress=False)
    assert result.value["muons"] == muons_of
    assert len(result.provenance.skipped) == 2


def test_files_that_are_all_bad_are_said(three):
    for name in "ac":
        (three / f"{name}.root").write_bytes(b"noise")
    with pytest.raises(DatasetError, match=r"no file can be opened: .*a.root begins"):
        Dataset(three, on_error="skip")


def test_a_bad_file_is_no_part_of_a_plan(three):
    estimate = Dataset(three, on_error="skip").plan(muons)
    assert estimate.events == 2100


@pytest.mark.parametrize("style", ["array", "plain"])
def test_a_damaged_chunk_is_named(damaged, style):
    def analysis(events):
        if style == "array":
            return float(np.sum(events.Muon_pt))
        return float(np.sum(events.plain(["Muon_pt"])["Muon_pt"].content))

    dataset = Dataset(damaged, chunk_events=100)
    with pytest.raises(ReadError, match=r"0\.\.100") as caught:
        dataset.run(analysis, progress=False)
    assert str(damaged) in str(caught.value)
    assert "Muon_pt" in str(caught.value)
    assert "\n" not in str(caught.value)
    result = dataset.run(analysis, on_error="skip", progress=False)
    ((chunk, why),) = result.provenance.skipped.items()
    assert (chunk.start, chunk.stop) == (0, 100)
    assert "Muon_pt" in why
    assert result.provenance.events == 950


def test_what_is_not_damaged_is_not_skipped(damaged):
    result = Dataset(damaged, on_error="skip").run(
        lambda e: len(e.Muon_eta), progress=False
    )
    assert result.value == 1050
    assert result.provenance.skipped == {}


def test_an_unknown_word_is_said(ttree):
    with pytest.raises(UsageError, match="on_error='ignore': expected 'raise' or"):
        Dataset(ttree, on_error="ignore")


def test_a_text_that_begins_like_a_root_file_is_none(tmp_path):
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 9)
    with pytest.raises(DatasetError, match="the rest is no header of a ROOT file"):
        Dataset(path)
