"""Plain columns: the same numbers as the arrays, in every format."""

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facility.columnar import ChunkError
from facility.columnar.columns import ColumnType
from facility.columnar.formats import Buffers, open_columns

EVENTS = 1050  # of the files in conftest
FORMATS = ("ttree", "rntuple", "parquet")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("start", "stop"), [(0, EVENTS), (30, 40), (95, 205), (7, 7)])
def test_columns_are_those_of_the_arrays(files, muons, kind, start, stop):
    file = open_columns(files[kind])
    names = ["Muon_pt", "nMuon", "Muon_charge"]
    columns = file.plain(names, start, stop)
    assert list(columns) == names
    expected = muons[start:stop]
    counts = ak.num(expected.pt).to_numpy()
    assert columns["nMuon"].offsets is None
    assert columns["nMuon"].content.tolist() == counts.tolist()
    for field, dtype in (("pt", np.float32), ("charge", np.int32)):
        column = columns[f"Muon_{field}"]
        assert column.content.dtype == dtype
        assert column.content.dtype.isnative
        assert column.content.flags.c_contiguous
        assert column.offsets.dtype == np.int64
        assert column.offsets.tolist() == [0, *np.cumsum(counts).tolist()]
        assert column.content.tolist() == ak.flatten(expected[field]).to_list()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("start", "stop"), [(0, EVENTS), (95, 205), (7, 7)])
def test_contents_come_without_offsets(files, kind, start, stop):
    file, names = open_columns(files[kind]), ["Muon_pt", "nMuon", "Muon_charge"]
    listed = file.plain(names, start, stop)
    found = file.plain(names, start, stop, None, ["Muon_pt"])
    assert list(found) == names
    assert found["Muon_pt"].offsets is None
    assert found["Muon_pt"].content.tolist() == listed["Muon_pt"].content.tolist()
    charge = found["Muon_charge"]
    assert charge.offsets.tolist() == listed["Muon_charge"].offsets.tolist()


def test_contents_of_whole_clusters_cost_no_count_branch(ttree):
    file = open_columns(ttree)
    before = file.bytes_read
    file.plain(["Muon_pt"], 100, 300, None, ["Muon_pt"])
    alone = file.bytes_read - before
    file.plain(["Muon_pt"], 100, 300)
    with_counts = file.bytes_read - before - alone
    file.plain(["nMuon"], 100, 300)
    counts = file.bytes_read - before - alone - with_counts
    assert alone == with_counts - counts > 0


@pytest.mark.parametrize("kind", FORMATS)
def test_types_come_from_metadata(files, kind):
    file = open_columns(files[kind])
    before = file.bytes_read
    counts = "nMuon" if kind == "ttree" else None
    expected = ColumnType(np.dtype(np.float32), is_jagged=True, counts=counts)
    assert file.type_of("Muon_pt") == expected
    assert file.type_of("nMuon") == ColumnType(np.dtype(np.int32), is_jagged=False)
    assert file.bytes_read == before


def test_columns_of_one_count_branch_share_their_offsets(ttree):
    columns = open_columns(ttree).plain(["Muon_pt", "Muon_eta"], 10, 500)
    assert columns["Muon_pt"].offsets is columns["Muon_eta"].offsets


def test_memory_of_buffers_is_used_again():
    buffers = Buffers()
    large = buffers.take("content", np.float64, 1000)
    small = buffers.take("content", np.float32, 10)
    assert np.shares_memory(large, small)
    assert not np.shares_memory(small, buffers.take("other", np.float32, 10))
    held = buffers.nbytes
    buffers.take("content", np.int64, 1100)  # a quarter more than was asked for
    assert buffers.nbytes == held


def test_what_is_not_plain_has_no_type(tmp_path):
    path = tmp_path / "table.parquet"
    columns = {
        "text": ak.Array(["a", "bc"]),
        "nested": ak.Array([[[1.0]], []]),
        "fixed": ak.to_regular(ak.Array([[1, 2], [3, 4]])),
        "half": ak.Array(np.array([1, 2], np.float16)),
        "flag": ak.Array([True, False]),
        "maybe": ak.Array([1, None]),
    }
    ak.to_parquet(ak.zip(columns, depth_limit=1), path)
    file = open_columns(path)
    types = {name: file.type_of(name) for name in columns}
    assert [types[n] for n in ("text", "nested", "fixed", "half")] == [None] * 4
    assert types["flag"] == ColumnType(np.dtype(bool), is_jagged=False)
    with pytest.raises(ChunkError, match=r"'maybe', entries 0\.\.2: 1 of 2 values"):
        file.plain(["maybe"], 0, 2)


def test_sizes_of_parquet_are_of_the_column_itself(tmp_path):
    table = pa.table({"a.b": [1.0] * 100, "a.bc": [[1, 2]] * 100, "z": [1] * 100})
    pq.write_table(table, tmp_path / "dots.parquet", compression="none")
    file = open_columns(tmp_path / "dots.parquet")
    meta = pq.read_metadata(tmp_path / "dots.parquet").row_group(0)
    sizes = [meta.column(i).total_uncompressed_size for i in range(3)]
    assert [file.size_of(name) for name in ("a.b", "a.bc", "z")] == sizes
    before = file.bytes_read
    file.plain(["a.bc"], 0, 100)
    assert file.bytes_read - before == meta.column(1).total_compressed_size
