"""A saved result is enough to compute it again, and says what is not as it was."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import hist
import numpy as np
import pytest
import uproot

from facility.columnar import Dataset, DatasetError
from facility.columnar.executors import Processes
from facility.columnar.fused import kernel
from facility.columnar.provenance import environment
from facility.columnar.record import Record
from facility.columnar.rerunning import compute_again, read_saved
from facility.environment import Distribution
from facility.errors import UsageError


def weighted(events):
    """Floating-point weights: sums depend on their order."""
    counts = np.asarray(events.nMuon)
    axis = hist.axis.Regular(5, 0, 5, name="n")
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(
        counts, weight=1 / (3 + np.arange(len(counts)))
    )


@pytest.fixture
def data(ttree, tmp_path):
    return shutil.copy2(ttree, tmp_path / "data.root")


@pytest.fixture
def saved(data, tmp_path):
    result = Dataset(data, chunk_events=50).run(weighted, progress=False)
    return result.save(tmp_path / "result.json")


def again(path, **options):
    return compute_again(read_saved(path), progress=False, **options)


@pytest.mark.parametrize("on", ["serial", "threads", Processes(2)], ids=str)
def test_the_same_bytes_on_every_executor(saved, tmp_path, on):
    out = again(saved, on=on)
    assert out.differences == {}
    assert out.is_same_code
    second = out.result.save(tmp_path / "again.json")
    histograms = [json.loads(p.read_text())["storage"] for p in (saved, second)]
    assert histograms[0] == histograms[1]
    assert again(second).differences == {}


def test_several_histograms_and_nan(data, tmp_path):
    def analysis(events):
        weight = np.where(np.arange(len(events)) == 7, np.nan, 0.1)
        one = hist.Hist.new.Reg(5, 0, 5, name="n").Weight()
        two = hist.Hist.new.StrCat([], growth=True, name="c").Double()
        return {
            "n": one.fill(np.asarray(events.nMuon), weight=weight),
            "c": two.fill(["a" if len(events) == 50 else "b"], weight=0.1),
        }

    result = Dataset(data, chunk_events=100).run(analysis, progress=False)
    path = result.save(tmp_path / "two.json")
    assert np.isnan(result["n"].hist.values(flow=True)).any()
    assert again(path).differences == {}


def test_what_was_skipped_is_skipped_again(data, tmp_path):
    dataset = Dataset(data, chunk_events=50)
    away = tmp_path / "away"

    class ComesBack:
        """Serial, but the file is there only from the fourth chunk on."""

        name = "comes back"

        def partials(self, task, chunks):
            from facility.columnar.computing import compute

            for chunk in chunks:
                if chunk.index == 0:
                    data.rename(away)
                if chunk.index == 3:
                    away.rename(data)
                yield compute(task, chunk)

    result = dataset.run(weighted, on=ComesBack(), on_error="skip", progress=False)
    assert [c.index for c in result.provenance.skipped] == [0, 1, 2]
    assert result.provenance.events == 900
    out = again(result.save(tmp_path / "skipped.json"))
    assert out.differences == {}
    assert out.result.provenance.events == 900


def test_a_file_that_was_skipped_may_be_anything_now(data, tmp_path):
    other = shutil.copy(data, tmp_path / "other.root")
    other.write_bytes(other.read_bytes()[:1000])
    dataset = Dataset([data, other], chunk_events=50, on_error="skip")
    result = dataset.run(weighted, progress=False)
    assert len(result.provenance.skipped) == 1
    saved = read_saved(result.save(tmp_path / "result.json"))
    other.unlink()
    assert saved.file_changes() == {}
    assert saved.touched_files() == []
    assert compute_again(saved, progress=False).differences == {}


def test_code_of_a_module_of_ones_own_is_kept_by_value(data, tmp_path, monkeypatch):
    (tmp_path / "my_cuts.py").write_text(
        textwrap.dedent(
            """
            import hist, numpy as np
            LIMIT = 2
            def few(events):
                n = np.asarray(events.nMuon)
                return hist.Hist.new.Reg(5, 0, 5, name="n").Int64().fill(n[n < LIMIT])
            """
        )
    )
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from my_cuts import few
from facility.columnar import Dataset
Dataset({str(data)!r}).run(few, progress=False).save({str(tmp_path / "few.json")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    (tmp_path / "my_cuts.py").unlink()
    saved = read_saved(tmp_path / "few.json")
    assert saved.record.name == "my_cuts:few"
    assert saved.record.file == str(tmp_path / "my_cuts.py")
    assert saved.record.source.startswith("def few(events):")
    out = compute_again(saved, progress=False)
    assert out.differences == {}
    assert out.is_same_code


def test_a_kernel_is_computed_again(data, tmp_path):
    threshold = 30

    @kernel(pt=hist.Hist.new.Reg(20, 0, 100, name="pt").Weight())
    def hard_muons(event, pt):
        for muon in event.Muon:
            if muon.pt > threshold:
                pt.fill(muon.pt, weight=muon.eta)

    result = Dataset(data, chunk_events=100).run(hard_muons, progress=False)
    assert result.hist.sum(flow=True).variance > 0
    saved = read_saved(result.save(tmp_path / "kernel.json"))
    assert saved.record.name == "hard_muons"
    assert saved.record.file == __file__
    assert "if muon.pt > threshold:" in saved.record.source
    out = compute_again(saved, progress=False)
    assert out.differences == {}
    assert out.is_same_code


def test_another_time_alone_is_no_change_but_another_content_is_found(saved, data):
    os.utime(data, (1, 1))
    found = read_saved(saved)
    assert found.file_changes() == {}
    assert found.touched_files() == [str(data)]
    assert compute_again(found, progress=False).differences == {}
    # The same size and UUID: one number less in a bin, and one more in another.
    document = json.loads(saved.read_text())
    document["storage"]["values"][2] += 1
    saved.write_text(json.dumps(document))
    assert again(saved).differences == {"": "1 of 15 numbers differ"}


def other_file(data):
    with uproot.recreate(data) as file:
        file.mktree("Events", {"nMuon": "int32"}).extend({"nMuon": np.arange(1050)})


def same_size(data):
    size = data.stat().st_size
    other_file(data)
    with data.open("ab") as file:
        file.write(b"\0" * (size - data.stat().st_size))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.unlink(), "cannot be read now: FileNotFoundError"),
        (other_file, "bytes then"),
        (same_size, "UUID"),
        (lambda data: data.write_bytes(bytes(data.stat().st_size)), "cannot be read"),
    ],
    ids=["gone", "other size", "other file", "no ROOT file"],
)
def test_a_changed_input_is_named(saved, data, change, said):
    change(data)
    (change_of,) = read_saved(saved).file_changes().items()
    assert change_of[0] == str(data)
    assert said in change_of[1]
    assert "\n" not in change_of[1]


def test_an_environment_that_differs_is_described(saved):
    found = read_saved(saved)
    then = dict(environment().distributions) | {"numpy": Distribution("1.0")}
    other = replace(found.record.environment, distributions=then)
    found = replace(found, record=replace(found.record, environment=other))
    assert "numpy 1.0 then" in found.environment_change()


def test_code_that_changed_by_reference_is_said(saved):
    found = read_saved(saved)
    made = replace(found.provenance, code_digest="0" * 64)
    assert not compute_again(
        replace(found, provenance=made), progress=False
    ).is_same_code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"python": "3.1"}, "byte code of Python 3.1, this is 3"),
        ({"task": b"junk"}, "cannot be loaded here"),
        (
            {"task": b"", "problem": "TypeError: no"},
            r"could not be kept .*TypeError: no",
        ),
    ],
)
def test_an_analysis_that_cannot_be_had_is_one_clear_line(saved, change, message):
    found = read_saved(saved)
    found = replace(found, record=replace(found.record, **change))
    with pytest.raises(UsageError, match=message) as caught:
        compute_again(found, progress=False)
    assert "\n" not in str(caught.value)


def test_a_result_whose_analysis_cannot_be_pickled_is_saved_still(data, tmp_path):
    with (tmp_path / "open").open("w") as file:
        result = Dataset(data).run(
            lambda events, file=file: weighted(events), progress=False
        )
        path = result.save(tmp_path / "result.json")
    record = read_saved(path).record
    assert record.task == b""
    assert record.problem.startswith("PicklingError: ")


def test_the_record_is_read_back_equal_and_runs_nothing(saved):
    record = read_saved(saved).record
    trap = replace(record, task=b"cbuiltins\nexit\n(tR.")
    assert Record.from_json(json.loads(json.dumps(trap.to_json()))) == trap


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"uhi_schema": 1}', '{"a": {"metadata": {}}}', "\xff"]
)
def test_something_else_is_one_clear_line(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match=r"no saved result|no analysis") as caught:
        read_saved(path)
    assert "\n" not in str(caught.value)


def test_a_record_of_another_format_is_refused(saved):
    document = json.loads(saved.read_text())
    document["metadata"]["rerun"]["format"] = 99
    saved.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="expected format 1 .* got 99"):
        read_saved(saved)


def test_what_others_may_write_is_not_run(saved, monkeypatch):
    saved.chmod(0o666)
    with pytest.raises(UsageError, match=r"written by everybody.*--trust"):
        read_saved(saved)
    saved.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: saved.stat().st_uid + 1)
    with pytest.raises(UsageError, match=r"belongs to somebody else.*--trust"):
        read_saved(saved)
    assert read_saved(saved, trust=True).histograms
