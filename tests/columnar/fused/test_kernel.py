"""A kernel as an analysis: what it reads, how it travels, threads and processes."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import awkward as ak
import cloudpickle
import hist
import numpy as np
import pytest

from facility.columnar import Dataset
from facility.columnar.baskets.store import read_entry
from facility.columnar.code import code_digest
from facility.columnar.fused import KernelError, compiling, cpu, kernel
from facility.columnar.machine_code import KIND
from tests.columnar.fused.made_events import assert_same_bits, made
from tests.columnar.fused.test_errors import body

CUT = 20.0


def is_hard(one, cut=CUT):
    return one.pt > cut


@kernel(mass=hist.Hist.new.Reg(40, 0, 200, name="mass", label="m [GeV]").Weight())
def dimuon(event, mass):
    for a, b in event.Muon.pairs():
        if a.charge != b.charge and is_hard(a) and is_hard(b):
            mass.fill((a + b).mass, weight=event.weight)


@pytest.fixture(scope="module")
def events():
    return made(5, 50)


def test_only_what_the_body_touches_is_read(events):
    fresh = made(5, 50)
    assert set(dimuon.branches(fresh)) == {
        *("Muon_charge", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "weight")
    }
    assert fresh.touched == ()
    dimuon(fresh)
    assert set(fresh.touched) == set(dimuon.branches(fresh))


def test_no_events_give_an_empty_histogram_and_compile_nothing(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(cpu, "machine_code", never)
    template = hist.Hist.new.Reg(9, 0, 9, label="pt [GeV]").Weight()
    nothing = made(5, 50)
    nothing._stop = 0
    got = kernel(h=template)(body("h.fill(event.x)"))(nothing)
    assert got.sum(flow=True).value == 0
    assert got.axes[0].label == "pt [GeV]"


def test_the_source_reads_like_a_loop(events):
    source = dimuon.source(events)
    assert "for turn_Muon in range(Muon__begin, Muon__end):" in source
    compile(source, "source", "exec")


def test_comparisons_of_roots_take_no_root(events):
    analysis = kernel(h=hist.Hist.new.Reg(9, 0, 9).Double())(
        body("for a, b in event.Jet.pairs():\n    if a.delta_r(b) < 0.4: h.fill(1)")
    )
    assert "root(" not in analysis.source(events)


def test_counting_objects_reads_their_counts_only(events):
    analysis = kernel(h=hist.Hist.new.Reg(9, 0, 9).Double())(
        body("h.fill(len(event.Jet))")
    )
    assert analysis.branches(events) == ("nJet",)
    expected = np.diff(events._file._columns["Jet_pt"].offsets)
    assert_same_bits(
        analysis(events), hist.Hist.new.Reg(9, 0, 9).Double().fill(expected)
    )


def test_it_pickles_by_value_from_a_notebook(events):
    count = itertools.count(1)
    h = hist.Hist.new.Reg(9, 0, 90).Double()
    name = f"<ipython-input-{next(count)}>"
    function = body(
        "for j in event.Jet:\n    if far(j, 1.5): h.fill(j.pt * SCALE)",
        name,
        far=is_hard,
        SCALE=2.0,
    )
    function.__module__ = "__main__"
    payload = cloudpickle.dumps(kernel(h=h)(function))
    here = cloudpickle.loads(payload)(events)
    script = textwrap.dedent(
        """
        import sys, pickle
        from tests.columnar.fused.made_events import made
        analysis = pickle.loads(sys.stdin.buffer.read())
        sys.stdout.buffer.write(pickle.dumps(analysis(made(5, 50)).values()))
        print("numba" in sys.modules, file=sys.stderr)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=payload, capture_output=True, check=True
    )
    np.testing.assert_array_equal(cloudpickle.loads(done.stdout), here.values())
    # What this process has compiled the other one has loaded.
    assert done.stderr.decode().strip() == "False"


def test_a_pickle_holds_the_text_only(events):
    before = len(cloudpickle.dumps(dimuon))
    dimuon(events)
    assert len(cloudpickle.dumps(dimuon)) == before


def test_its_digest_is_that_of_its_text_and_what_it_refers_to():
    h = hist.Hist.new.Reg(9, 0, 90).Double()
    text = "h.fill(event.x * SCALE)"
    one, same, other = (kernel(h=h)(body(text, SCALE=s)) for s in (2.0, 2.0, 3.0))
    assert code_digest(one) == code_digest(same) != code_digest(other)
    wider = kernel(h=hist.Hist.new.Reg(9, 0, 99).Double())(body(text, SCALE=2.0))
    assert code_digest(one) != code_digest(wider)
    assert code_digest(one) == code_digest(cloudpickle.loads(cloudpickle.dumps(one)))


def test_threads_compile_once_and_count_alike(events, monkeypatch):
    compiled = []
    real = compiling._compiled

    def counted(*arguments):
        compiled.append(threading.get_ident())
        return real(*arguments)

    monkeypatch.setattr(compiling, "_compiled", counted)
    analysis = kernel(h=hist.Hist.new.Reg(9, 0, 300).Weight())(
        body("for a, b in event.Jet.pairs():\n    h.fill((a + b).mass, weight=a.pt)")
    )
    expected = analysis.python(events)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(analysis, [made(5, 50) for _ in range(12)]):
            assert_same_bits(got, expected)
    assert len(compiled) == 1


def test_machine_code_that_is_damaged_is_compiled_again(events, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "h.fill(event.x)"
    h = hist.Hist.new.Reg(9, 0, 90).Double()
    first = kernel(h=h)(body(text))(events)
    (kept,) = tmp_path.rglob("*.o")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-9])
    assert_same_bits(kernel(h=h)(body(text))(events), first)
    assert read_entry(KIND, kept.name)


def test_machine_code_that_others_could_have_written_is_not_run(
    events, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    h = hist.Hist.new.Reg(9, 0, 90).Double()
    kernel(h=h)(body("h.fill(event.x)"))(events)
    (kept,) = tmp_path.rglob("*.o")
    assert read_entry(KIND, kept.name)
    kept.parent.chmod(0o777)
    assert read_entry(KIND, kept.name) is None


def test_a_folder_that_cannot_be_written_is_no_obstacle(events, tmp_path, monkeypatch):
    (tmp_path / "analysis-facility").write_text("a file where a folder belongs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    h = hist.Hist.new.Reg(9, 0, 90).Double()
    analysis = kernel(h=h)(body("h.fill(event.x)"))
    assert_same_bits(analysis(events), analysis.python(events))


def test_without_numba_it_says_what_to_install(events, monkeypatch):
    monkeypatch.setattr(compiling, "is_available", lambda: False)
    analysis = kernel(h=hist.Hist.new.Reg(9, 0, 90).Double())(body("h.fill(event.x)"))
    with pytest.raises(
        KernelError, match=r"pip install 'analysis-facility\[kernels\]'"
    ):
        analysis(events)
    assert analysis.python(events).sum(flow=True) == len(events)


def test_importing_columnar_does_not_import_numba():
    code = "import sys, facility.columnar, facility.columnar.fused as f\n"
    code += "assert not {'numba', 'llvmlite'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_runs_as_any_analysis_does(ttree):
    @kernel(pt=hist.Hist.new.Reg(40, 0, 200, name="pt").Int64())
    def analysis(event, pt):
        for muon in event.Muon:
            pt.fill(muon.pt)

    dataset = Dataset(ttree, chunk_events=200)
    assert "Muon_pt[muon]" in analysis.source(dataset)
    assert "Muon_pt" in analysis.branches(dataset)
    result = dataset.run(analysis, on="serial", progress=False)
    expected = Dataset(ttree).run(
        lambda e: (
            hist.Hist.new.Reg(40, 0, 200, name="pt")
            .Int64()
            .fill(np.asarray(e.Muon_pt.layout.content.data, np.float64))
        ),
        on="serial",
        progress=False,
    )
    assert_same_bits(result.value, expected.value)
    assert "Muon_pt" in result.provenance.branches


def test_objects_are_counted_by_their_lists_not_by_what_is_called_so(tmp_path):
    """A skim of somebody's own: jets were selected, nJet is as it was before."""
    counts = [2, 0, 3, 1]
    pt = ak.unflatten(np.arange(6, dtype=np.float32), counts)
    table = ak.zip({"nJet": np.full(4, 5), "Jet_pt": pt}, depth_limit=1)
    ak.to_parquet(table, tmp_path / "skim.parquet")
    analysis = kernel(h=hist.Hist.new.Reg(9, 0, 9).Double())(
        body("h.fill(len(event.Jet))")
    )
    dataset = Dataset(tmp_path / "skim.parquet")
    expected = hist.Hist.new.Reg(9, 0, 9).Double().fill(counts)
    for way in (analysis, analysis.python):
        found = dataset.run(way, on="serial", progress=False).hist
        assert_same_bits(found, expected)
