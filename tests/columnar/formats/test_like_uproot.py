"""Plain columns of ROOT files are what uproot reads, on made files and real ones."""

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facility import samples
from facility.columnar.buffers import Buffers
from facility.columnar.formats import open_columns
from facility.columnar.formats.arrays import to_column

DTYPES = ("bool", "int8", "uint16", "int32", "int64", "uint64", "float32", "float64")
COMPRESSIONS = (None, uproot.ZSTD(1), uproot.LZ4(1), uproot.ZLIB(1), uproot.LZMA(1))


def assert_like_uproot(path, tree, start, stop, buffers):
    """Compare all plain columns of a tree, and count them."""
    with uproot.open(path, array_cache=None) as file:
        peer = file[tree]
        ours = open_columns(path, tree)
        plain = [c for c in ours.columns if ours.type_of(c) is not None]
        for name in plain:
            array = peer[name].array(entry_start=start, entry_stop=stop)
            expected = to_column(array)
            column = ours.plain([name], start, stop, buffers)[name]
            assert column.content.dtype == expected.content.dtype, name
            assert column.content.tobytes() == expected.content.tobytes(), name
            if expected.offsets is None:
                assert column.offsets is None
            else:
                assert column.offsets.tolist() == expected.offsets.tolist(), name
            read = ours.read(name, start, stop)
            assert read.layout.form.type == array.layout.form.type, name
            assert to_column(read).content.tobytes() == column.content.tobytes(), name
        ours.close()
    return len(plain)


@st.composite
def trees(draw):
    """Clusters of flat and jagged columns, and a range of entries."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    flat, item = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    clusters = []
    for size in sizes:
        counts = rng.integers(0, 4, size)
        content = rng.integers(0, 2, int(counts.sum())).astype(item)
        lists = ak.unflatten(content, counts)
        clusters.append({"x": rng.integers(0, 2, size).astype(flat), "y": lists})
    start = draw(st.integers(0, sum(sizes)))
    stop = draw(st.integers(start, sum(sizes)))
    kinds = {"x": flat, "y": f"var * {item}"}
    return kinds, clusters, (start, stop), draw(st.sampled_from(COMPRESSIONS))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(made=trees())
def test_trees_that_uproot_writes(tmp_path, made):
    kinds, clusters, (start, stop), compression = made
    path = tmp_path / "made.root"
    with uproot.recreate(path, compression=compression) as file:
        tree = file.mktree("t", kinds)
        for cluster in clusters:
            tree.extend(cluster)
    assert assert_like_uproot(path, "t", start, stop, Buffers()) == 3


@pytest.mark.engines
@pytest.mark.parametrize("name", [s.name for s in samples.SAMPLES])
def test_samples(name):
    path = samples.path(name)
    with uproot.open(path) as file:
        kinds = file.classnames(recursive=True, cycle=False).items()
        trees = [n for n, kind in kinds if kind in ("TTree", "ROOT::RNTuple")]
        entries = {n: file[n].num_entries for n in trees}
    buffers = Buffers()
    compared = 0
    for tree, number in entries.items():
        for start, stop in ((0, number), (number // 3, number // 2)):
            if start < stop:
                compared += assert_like_uproot(path, tree, start, stop, buffers)
    assert compared


@pytest.mark.engines
@pytest.mark.parametrize("name", ["nano-dimuon-rntuple", "nano-dy-rntuple"])
def test_projected_fields_of_a_collection_share_their_offsets(name):
    """As CMS writes them: other names for the fields of one list of records."""
    file = open_columns(samples.path(name))
    names = ["Muon_pt", "Muon_charge", "nMuon"]
    assert [file.type_of(n).counts for n in names] == ["nMuon", "nMuon", None]
    columns = file.plain(names, 3, file.entries)
    assert columns["Muon_pt"].offsets is columns["Muon_charge"].offsets
    counts = columns["nMuon"].content
    assert np.diff(columns["Muon_pt"].offsets).tolist() == counts.tolist()
