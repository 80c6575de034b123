"""The same on a real GPU: needs one, and the extra ``gpu``."""

import hist
import numpy as np
import pytest

from facility.columnar import Dataset
from facility.columnar.backends import why_no_cuda
from facility.columnar.kernels import fill, objects, pairs
from tests.columnar.cuda.simulated import KERNELS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(why_no_cuda("numba_cuda")), reason="no NVIDIA GPU"),
]


def run(made_up, analysis, backend):
    dataset = Dataset(made_up, chunk_events=100)
    result = dataset.run(analysis, on="threads", backend=backend, progress=False)
    assert {report.backend for report in result.provenance.chunks} == {backend}
    return result.value


@pytest.mark.parametrize("name", ["of_objects", "larger_than_shared_memory"])
def test_counts_of_columns_are_the_same(made_up, name):
    kernel = KERNELS[name]
    assert run(made_up, kernel, "cuda") == run(made_up, kernel, "cpu")


def test_masses_differ_by_those_at_an_edge_at_most(made_up):
    def near_an_edge(events):
        first, second = pairs(objects(events.Muon, "charge"))
        opposite = first.charge != second.charge
        mass = np.asarray((first + second).mass[opposite].layout.content)
        return int(np.count_nonzero(np.abs(mass / 2 - np.rint(mass / 2)) < 5e-7))

    cpu, gpu = (run(made_up, KERNELS["pairs"], b) for b in ("cpu", "cuda"))
    differing = np.abs(cpu.view(flow=True) - gpu.view(flow=True)).sum()
    assert cpu.sum(flow=True) == gpu.sum(flow=True)
    assert differing <= 2 * run(made_up, near_an_edge, "cpu")


def test_weights_add_up_to_the_same(made_up):
    cpu, gpu = (run(made_up, KERNELS["weighted"], b) for b in ("cpu", "cuda"))
    for name in cpu:
        np.testing.assert_allclose(gpu[name].values(), cpu[name].values(), rtol=1e-12)


@pytest.mark.skipif(bool(why_no_cuda("cupy")), reason="no cupy")
def test_arrays_are_computed_on_the_gpu(made_up):
    def masses(events):
        first, second = pairs(objects(events.Muon))
        weighted = hist.Hist.new.Reg(100, 0, 200, name="mass").Weight()
        return fill(weighted, (first + second).mass, weight=events.weight)

    cpu, gpu = (run(made_up, masses, backend) for backend in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.variances(), cpu.variances(), rtol=1e-9)
