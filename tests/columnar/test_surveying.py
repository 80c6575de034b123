"""Files of one dataset must agree in what is read, and are asked before it is."""

import numpy as np
import pytest
import uproot

from facility.columnar import Dataset, DatasetError, MissingBranchError
from facility.columnar.columns import ColumnType
from facility.columnar.surveying import Survey, in_threads, require_same

FLOAT = ColumnType(np.dtype(np.float32), False)
LISTS = ColumnType(np.dtype(np.float32), True, "n")


def write(path, **columns):
    with uproot.recreate(path) as file:
        file["Events"] = columns
    return path


@pytest.fixture
def two(tmp_path):
    def make(**second):
        first = {"x": np.arange(10.0), "y": np.arange(10)}
        a = write(tmp_path / "a.root", **first)
        return [a, write(tmp_path / "b.root", **second)]

    return make


def test_a_branch_that_one_file_lacks_is_said_before_anything_runs(two):
    dataset = Dataset(two(X=np.arange(5.0), y=np.arange(5)))
    ran = []

    def analysis(events):
        ran.append(len(events))
        return float(np.sum(events.x))

    with pytest.raises(
        MissingBranchError,
        match=r"b.root has no branch 'x', .*a.root has; did you mean X\?",
    ) as caught:
        dataset.run(analysis, progress=False)
    assert ran == [0]
    assert "\n" not in str(caught.value)
    assert dataset.run(lambda e: int(np.sum(e.y)), progress=False).value == 55


def test_a_branch_of_another_type_is_said_before_anything_runs(two):
    dataset = Dataset(two(x=np.arange(5.0, dtype=np.float32), y=np.arange(5)))
    with pytest.raises(
        DatasetError, match=r"b.root: branch 'x' is float32, expected f"
    ):
        dataset.run(lambda e: float(np.sum(e.x)), progress=False)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (LISTS, "lists of float32, expected float32"),
        (None, "neither numbers nor lists"),
        (ColumnType(np.dtype(np.int32), False), "int32, expected float32"),
    ],
)
def test_types_that_differ(kind, message):
    first = Survey("a.root", {"x": FLOAT}, {}, 4)
    with pytest.raises(DatasetError, match=message):
        require_same([first, Survey("b.root", {"x": kind}, {}, 4)])


def test_counts_may_be_called_differently():
    other = ColumnType(LISTS.dtype, True, "m")
    surveys = [Survey(n, {"x": t}, {}, 4) for n, t in (("a", LISTS), ("b", other))]
    require_same(surveys)


def test_chunks_are_smaller_if_memory_is(ttree):
    many = Dataset(ttree, chunk_bytes=10_000)
    assert len(many.chunks(["Muon_pt"])) < len(many.chunks(["Muon_pt", "Muon_eta"]))
    assert len(many.chunks()) == 1


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet"])
def test_a_bound_on_memory_holds(files, kind):
    dataset = Dataset(files[kind], chunk_bytes=4000)

    def largest(events):
        columns = events.plain(["Muon_pt", "nMuon"]).values()
        return {sum(c.content.nbytes for c in columns): 1}

    sizes = dataset.run(largest, branches=["Muon_pt", "nMuon"], progress=False).value
    assert len(sizes) > 1
    assert max(sizes) <= 4000


def test_results_come_in_order_and_the_first_error_is_raised():
    assert in_threads(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda x: 1 / x, [1, 0, 2])
