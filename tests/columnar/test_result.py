"""A result can be kept, read back, and traced to what made it."""

import html
import io
import json
from dataclasses import replace

import awkward as ak
import hist
import numpy as np
import pytest
from rich.console import Console

from facility.columnar import AnalysisError, Dataset, DatasetError, load
from facility.columnar.notes import note
from facility.columnar.provenance import Provenance, environment
from facility.environment import describe
from facility.errors import UsageError


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
    environment.cache_clear()
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
    with pytest.raises(AnalysisError, match="the result has no 'mass': it has a, b"):
        _ = result["mass"]
    with pytest.raises(AnalysisError, match=r"no 'a': its sum is in \.value"):
        _ = result["b"]["a"]


def test_a_folder_that_is_not_there_is_one_clear_line(ttree, tmp_path, dimuon_analysis):
    result = Dataset(ttree).run(dimuon_analysis, progress=False)
    with pytest.raises(UsageError, match=r"cannot write .*nowhere/x.json: No such"):
        result.save(tmp_path / "nowhere/x.json")


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


def test_provenance_is_read_back_equal(result):
    text = json.dumps(result.provenance.to_json())
    assert Provenance.from_json(json.loads(text)) == result.provenance


def test_a_password_in_a_url_stays_here(result):
    (file,) = result.provenance.files
    remote = replace(file, path="https://me:secret@host/a.root?token=secret")
    plan = tuple(replace(chunk, file=remote) for chunk in result.provenance.plan)
    made = replace(result.provenance, files=(remote,), plan=plan)
    text = json.dumps(made.to_json())
    assert "secret" not in text
    assert Provenance.from_json(json.loads(text)).files[0].path == "https://host/a.root"


def test_what_was_odd_is_counted_and_shown(ttree):
    def analysis(events):
        counts = np.asarray(events.nMuon)
        note("NaN weights", int((counts == 4).sum()))
        return hist.Hist.new.Reg(5, 0, 5, name="n").Int64().fill(counts)

    dataset = Dataset(ttree, chunk_events=100)
    result = dataset.run(analysis, progress=False)
    count = int(result.hist[4])
    assert result.provenance.notes == {"NaN weights": count}
    assert sum(c.notes.get("NaN weights", 0) for c in result.provenance.chunks) == count
    assert str(result).splitlines()[1:] == [f"NaN weights: {count:,}"]
    assert f"NaN weights: {count:,}" in result._repr_html_()
    assert str(dataset.run(len, progress=False)).count("\n") == 0


def test_bins_that_became_nan_are_noted_whoever_filled(ttree):
    def analysis(events):
        counts = np.asarray(events.nMuon)
        weights = np.where(events.Muon.pt[:, :1] > 69, np.nan, 1.0)
        weights = ak.fill_none(ak.firsts(weights), 1.0)
        h = hist.Hist.new.Reg(5, 0, 5, name="n").Weight()
        return {"h": h.fill(counts, weight=np.asarray(weights)), "n": len(events)}

    result = Dataset(ttree, chunk_events=100).run(analysis, progress=False)
    chunks = sum(bool(c.notes) for c in result.provenance.chunks)
    assert 0 < chunks < 11
    assert result.provenance.notes == {"chunks with NaN in a histogram": chunks}


def test_the_page_has_the_numbers(ttree, dimuon_analysis):
    result = Dataset(ttree).run(
        lambda e: {"<a>": dimuon_analysis(e), "n": len(e.nMuon)}, progress=False
    )
    page = result._repr_html_()
    assert "&lt;a&gt;" in page
    assert "<a>" not in page
    assert "1050" in page
    assert "1,050 events" in page


WEIGHTED = hist.Hist.new.Reg(10, 0, 100, name="mass").Weight()


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (
            WEIGHTED.copy().fill([5, 50, 500], weight=[3, 4, 2]),
            ["mass [10] 7.0 ± 5.0 2.0"],
        ),
        (
            {
                "a": hist.Hist.new.StrCat(["x"], name="c").Int64().fill(["x"] * 4),
                "n": 3,
            },
            ["a c [1] 4.0 ± 2.0 0.0", "n 3"],
        ),
        (3.5, ["3.5"]),
    ],
)
def test_the_numbers_are_shown(result, value, rows):
    console = Console(width=100, file=io.StringIO())
    console.print(shown(result, value))
    _, *lines = [
        " ".join(line.split()) for line in console.file.getvalue().splitlines()
    ]
    assert lines[: len(rows)] == rows
    assert lines[len(rows)].startswith("1,050 events in")
    page = shown(result, value)._repr_html_()
    for row in rows:
        assert all(html.escape(word) in page for word in row.split())


@pytest.fixture
def canvas():
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    yield axes
    plt.close("all")


def shown(result, value):
    return replace(result, value=value)


def test_it_draws_itself(result, canvas):
    result.plot(ax=canvas)
    assert canvas.get_xlabel() == "mass"
    assert canvas.get_legend() is None
    assert "1,050 events" in result._repr_html_()


MASS = hist.Hist.new.Reg(10, 0, 100, name="mass").Weight().fill([1, 2, 50])
KINDS = (
    hist.Hist.new.Reg(10, 0, 100, name="mass")
    .StrCat(["data", "mc"], name="kind")
    .Double()
    .fill([1, 2, 50], ["data", "mc", "mc"])
)


@pytest.mark.parametrize(
    ("value", "legend"),
    [
        ({"a": MASS, "b": 2 * MASS, "events": 3}, ["a", "b"]),
        (KINDS, ["data", "mc"]),
        ({"x": KINDS, "y": MASS}, ["x data", "x mc", "y"]),
    ],
    ids=["dict", "category", "both"],
)
@pytest.mark.parametrize("style", [{}, {"stack": True, "histtype": "fill"}])
def test_several_share_a_frame_and_have_a_legend(result, canvas, value, legend, style):
    shown(result, value).plot(ax=canvas, **style)
    texts = [text.get_text() for text in canvas.get_legend().get_texts()]
    assert sorted(texts) == sorted(legend)


def test_other_axes_get_another_frame(result, canvas):
    import matplotlib.pyplot as plt

    other = hist.Hist.new.Reg(5, 0, 5, name="n").Int64()
    value = {"mass": MASS, "n": other}
    shown(result, value).plot()
    frames = plt.gcf().axes
    assert [frame.get_xlabel() for frame in frames] == ["mass", "n"]
    with pytest.raises(AnalysisError, match="2 kinds of axes do not fit"):
        shown(result, value).plot(ax=canvas)


def test_two_axes_are_a_map_of_colours(result, canvas):
    plane = hist.Hist.new.Reg(3, 0, 1, name="x").Reg(3, 0, 1, name="y").Double()
    shown(result, plane).plot(ax=canvas)
    assert (canvas.get_xlabel(), canvas.get_ylabel()) == ("x", "y")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "int cannot be drawn"),
        ({"n": 3}, "dict cannot be drawn"),
        (hist.Hist.new.Reg(1, 0, 1, name="x").Reg(1, 0, 1).Reg(1, 0, 1).Double(), "x,"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(result, value, message):
    with pytest.raises(AnalysisError, match=message) as caught:
        shown(result, value).plot()
    assert "\n" not in str(caught.value)
