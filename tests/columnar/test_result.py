"""A result can be kept, read back, and traced to what made it."""

import json

import hist
import pytest

from facility.columnar import AnalysisError, Dataset, DatasetError, load
from facility.columnar.provenance import environment_digest
from facility.environment import describe


@pytest.fixture
def result(ttree, dimuon_analysis):
    return Dataset(ttree, chunk_events=300).run(dimuon_analysis, progress=False)


def test_a_saved_histogram_is_read_back_equal(result, tmp_path):
    path = result.save(tmp_path / "mass.json")
    assert load(path) == result.hist
    assert [p.name for p in tmp_path.iterdir()] == ["mass.json"]


def test_the_file_is_what_hist_itself_reads(result, tmp_path):
    document = json.loads(result.save(tmp_path / "mass.json").read_text())
    assert document["uhi_schema"] == 1
    assert hist.Hist(document) == result.hist


def test_the_file_says_where_the_histogram_came_from(ttree, dimuon_analysis, tmp_path):
    # Somebody may be editing this editable installation: before or after, then.
    environment_digest.cache_clear()
    digests = {describe().digest}
    result = Dataset(ttree, chunk_events=300).run(dimuon_analysis, progress=False)
    digests.add(describe().digest)
    document = json.loads(result.save(tmp_path / "mass.json").read_text())
    made = document["metadata"]["provenance"]
    assert made["environment_digest"] in digests
    assert made["executor"] == "threads"
    assert [f["path"] for f in made["files"]] == [str(ttree)]
    assert made["files"][0]["size_bytes"] == ttree.stat().st_size
    assert len(made["files"][0]["uuid"]) == 36
    assert sum(c["events"] for c in made["chunks"]) == 1050
    assert set(made["branches"]) > {"nMuon", "Muon_pt"}


def test_several_histograms_in_one_file(ttree, tmp_path, dimuon_analysis):
    result = Dataset(ttree).run(
        lambda e: {"a": dimuon_analysis(e), "b": 2 * dimuon_analysis(e)}, progress=False
    )
    assert load(result.save(tmp_path / "two.json")) == result.value
    assert result["b"].hist == result.value["b"]
    assert result["b"].provenance is result.provenance


def test_a_number_is_no_histogram(ttree, tmp_path):
    result = Dataset(ttree).run(lambda e: len(e.nMuon), progress=False)
    with pytest.raises(AnalysisError, match="int cannot be saved"):
        result.save(tmp_path / "number.json")
    with pytest.raises(AnalysisError, match=r"returned int.*in \.value"):
        _ = result.hist
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '{"uhi_schema": 1}'])
def test_loading_something_else_is_one_clear_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match="not a histogram in UHI JSON") as caught:
        load(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_it_draws_itself(result):
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    result.plot(ax=axes)
    assert axes.get_xlabel() == "mass"
    plt.close(figure)
    assert "1,050 events" in result._repr_html_()
