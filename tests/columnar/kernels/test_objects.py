"""Collections of files as four-vectors."""

import awkward as ak
import numpy as np
import pytest

from facility.columnar import AnalysisError, Dataset, MissingBranchError
from facility.columnar.kernels import fill, objects, pairs


def test_pairs_of_a_file_are_those_of_a_loop(ttree, dimuon_analysis, true_counts):
    template = Dataset(ttree).run(dimuon_analysis, on="serial", progress=False).hist

    def analysis(events):
        muons = objects(MassLess(events.Muon), "charge")
        first, second = pairs(muons[ak.num(muons) == 2])
        chosen = (first + second).mass[first.charge != second.charge]
        return fill(template.copy().reset(), chosen)

    result = Dataset(ttree, chunk_events=250).run(analysis, on="serial", progress=False)
    assert result.hist.values().tolist() == true_counts


class MassLess:
    """The muons of the test file have no masses: zero is given here."""

    def __new__(cls, muons):
        fields = {name: getattr(muons, name) for name in ("pt", "eta", "phi", "charge")}
        return ak.zip(fields | {"mass": ak.zeros_like(fields["pt"])})


def test_a_collection_without_masses_is_told_what_is_missing(ttree):
    def analysis(events):
        return len(objects(events.Muon))

    with pytest.raises(AnalysisError, match=r"mass or energy.*charge.*four_vectors"):
        Dataset(ttree).run(analysis, on="serial", progress=False)


def test_any_spelling_of_any_experiment_is_understood():
    columns = {"PX": [[3.0]], "PY": [[4.0]], "PZ": [[0.0]], "PE": [[13.0]]}
    lhcb = objects(ak.zip({k: ak.Array(v) for k, v in columns.items()}))
    assert lhcb.mass.to_list() == [[12.0]]
    assert lhcb.pt.to_list() == [[5.0]]
    columns = {"pt": [5.0], "eta": [0.0], "phi": [0.0], "m": [12.0]}
    atlas = objects(ak.zip({k: np.array(v) for k, v in columns.items()}))
    assert atlas.energy.to_list() == [13.0]


def test_fields_of_any_depth_may_stand_beside(ttree):
    columns = {n: ak.Array([[1.0, 2.0]]) for n in ("pt", "eta", "phi", "mass")}
    columns["hits"] = ak.Array([[[1, 2, 3], []]])
    found = objects(ak.zip(columns, depth_limit=2), "hits")
    assert found.hits.to_list() == [[[1, 2, 3], []]]
    assert found.pt.to_list() == [[1.0, 2.0]]


def test_a_field_that_is_not_there_is_named(ttree):
    def analysis(events):
        return len(objects(events.Muon, "chargee"))

    with pytest.raises((MissingBranchError, AnalysisError)):
        Dataset(ttree).run(analysis, on="serial", progress=False)
