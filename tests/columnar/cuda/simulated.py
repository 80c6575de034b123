"""Kernels in numba's CUDA simulator, in a process of its own: see conftest.py.

NUMBA_ENABLE_CUDASIM=1 python simulated.py EVENTS.root OUT.pickle
"""

from __future__ import annotations

import collections
import pickle
import sys
from pathlib import Path

import hist

from facility.columnar import Dataset
from facility.columnar.backends import computing_with
from facility.columnar.events import Events
from facility.columnar.fused import kernel
from facility.errors import FacilityError

HALF = 0.5
EDGES = [0, 10, 20.5, 40, 60]


def mass():
    return hist.Hist.new.Reg(100, 0, 200, name="mass")


@kernel(mass=mass().Int64())
def pairs(event, mass):
    for a, b in event.Muon.pairs():
        if a.charge != b.charge:
            mass.fill((a + b).mass)


@kernel(
    mass=mass().StrCat(["same", "opposite"], name="sign").Weight(),
    pt=hist.Hist.new.Var(EDGES, overflow=False, name="pt").Double(),
)
def weighted(event, mass, pt):
    for a, b in event.Muon.pairs():
        sign = a.charge == b.charge
        mass.fill((a + b).mass, "same" if sign else "opposite", weight=event.weight)
        pt.fill(a.pt, weight=HALF * event.weight)


@kernel(pt=hist.Hist.new.Reg(60, 0, 60, name="pt").Double())
def of_objects(event, pt):
    for muon in event.Muon:
        if abs(muon.eta) < 1:
            pt.fill(muon.pt)


@kernel(near=hist.Hist.new.Int(0, 4, name="near").Reg(9_000, 0, 90, name="pt").Int64())
def larger_than_shared_memory(event, near):
    for i, muon in enumerate(event.Muon):
        others = 0
        j = 0
        while j < len(event.Muon):
            if j != i and muon.delta_r(event.Muon[j]) < 1.5:
                others += 1
            j += 1
            if others > 2:
                break
        near.fill(others, muon.pt)


@kernel(pt=hist.Hist.new.Reg(10, 0, 100, name="pt").Int64())
def asks_for_a_third_muon(event, pt):
    if len(event.Muon) == 2:
        pt.fill(event.Muon[2].pt)


KERNELS = {
    k.name: k
    for k in (
        pairs,
        weighted,
        of_objects,
        larger_than_shared_memory,
        asks_for_a_third_muon,
    )
}


class Calls(collections.Counter):
    """How often the simulated driver was asked for something."""

    def watch(self, owner, name):
        original = getattr(owner, name)

        def counted(*args, **kwargs):
            self[name] += 1
            return original(*args, **kwargs)

        setattr(owner, name, counted)


def watched():
    from numba import cuda
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    calls = Calls()
    for name in ("copy_to_host", "copy_to_device"):
        calls.watch(FakeCUDAArray, name)
    for name in ("synchronize", "to_device", "device_array", "pinned_array"):
        calls.watch(cuda, name)
    calls.watch(cuda.stream, "synchronize")
    return calls


def main(source: str, out: str) -> None:
    found = {}
    dataset = Dataset(source, chunk_events=100)
    calls = watched()
    for name, one in KERNELS.items():
        chunks = []
        # The first chunk twice: what it needs is there the second time.
        for start, stop in [(0, 100), (0, 100), (100, 100), (100, 103)]:
            events = Events(dataset._first, start, stop)
            calls.clear()
            try:
                with computing_with("cuda") as computing:
                    value = one(events)
            except FacilityError as error:
                value = str(error)
            chunks.append((value, computing.used, dict(calls)))
        found[name] = chunks
    result = dataset.run(pairs, on="serial", backend="cuda", progress=False)
    backends = {report.backend for report in result.provenance.chunks}
    found["run"] = result.hist, backends
    result = dataset.run(weighted, on="serial", backend="cuda", progress=False)
    found["notes"] = dict(
        sum((collections.Counter(c.notes) for c in result.provenance.chunks), Calls())
    )
    Path(out).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
