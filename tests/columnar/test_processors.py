"""coffea's processors give what the same arrays give in a function of ours."""

import pickle
import sys

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from facility.columnar import Dataset, Processor
from facility.columnar.processors import is_processor
from facility.errors import UsageError

pytest.importorskip("coffea", reason="extra coffea")
pytestmark = pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")


def momenta():
    return hist.Hist.new.Reg(10, 0, 100, name="pt").Int64()


def ours(events):
    return momenta().fill(np.asarray(ak.flatten(events.Muon.pt)))


@pytest.fixture(scope="module")
def counting():
    from coffea.processor import ProcessorABC

    class Counting(ProcessorABC):
        def process(self, events):
            flat = events.Muon_pt if "Muon_pt" in events.fields else events.Muon.pt
            return {
                "pt": momenta().fill(ak.flatten(flat)),
                "events": len(events),
                "datasets": {events.metadata["dataset"]},
                "starts": {events.metadata["entrystart"]},
            }

        def postprocess(self, accumulator):
            accumulator["events"] += 1_000_000

    return Counting()


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet"])
def test_every_format_and_the_rules_of_accumulators(files, kind, counting):
    from coffea.nanoevents import BaseSchema

    dataset = Dataset(files[kind], chunk_events=300)
    processor = Processor(counting, schema=BaseSchema, dataset="zmumu")
    result = dataset.run(processor, on="threads", progress=False)
    assert result["pt"].hist == dataset.run(ours, on="serial", progress=False).hist
    assert result.value["events"] == 1_000_000 + len(dataset)
    assert result.value["datasets"] == {"zmumu"}
    assert result.value["starts"] == {chunk.start for chunk in dataset.chunks()}
    assert result.provenance.branches == ("Muon_pt",)


@pytest.fixture
def nanoaod(tmp_path, muons):
    path = tmp_path / "nanoaod.root"
    ids = ("run", "luminosityBlock", "event")
    columns = {n: ak.Array(np.arange(len(muons), dtype=np.uint32)) for n in ids}
    columns["Muon"] = ak.with_field(muons, ak.zeros_like(muons.pt), "mass")
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: array.type for name, array in columns.items()})
        file["Events"].extend(columns)
    return path


def test_run_takes_a_processor_as_it_is(nanoaod, counting):
    assert is_processor(counting)
    assert not is_processor(ours)
    dataset = Dataset(nanoaod)
    result = dataset.run(counting, on="serial", progress=False)
    assert result["pt"].hist == dataset.run(ours, on="serial", progress=False).hist
    assert set(result.provenance.branches) == {"nMuon", "Muon_pt"}
    assert result.provenance.bytes_read > 0


def test_what_postprocess_returns_is_the_result():
    class Halved:
        def postprocess(self, accumulator):
            return accumulator / 2

    def passed(value):
        return Processor(Halved()).finish(value)

    from facility.columnar.processors import Accumulated

    total = Accumulated(3) + Accumulated(4)
    assert passed(pickle.loads(pickle.dumps(total))) == 3.5


def test_without_coffea_it_says_what_to_install(ttree, monkeypatch):
    monkeypatch.setitem(sys.modules, "coffea.nanoevents", None)
    with pytest.raises(UsageError, match=r"need coffea: pip install"):
        Dataset(ttree).run(Processor(object()), on="serial", progress=False)
