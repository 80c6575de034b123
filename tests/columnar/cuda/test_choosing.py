"""Who computes a chunk: what is wanted, what is there, what was measured."""

import hist
import numpy as np
import pytest

from facility.columnar import Dataset
from facility.columnar.backends import computing_with, why_no_cuda
from facility.columnar.fused import choosing
from facility.columnar.fused.choosing import PACKAGE, Engines
from facility.columnar.fused.measurements import Measurements
from facility.errors import UsageError
from tests.columnar.cuda.simulated import KERNELS

WITHOUT_GPU = pytest.mark.skipif(not why_no_cuda(PACKAGE), reason="there is a GPU")


class Pretended(Engines):
    """Engines that take so many seconds per event, and report who was asked."""

    def __init__(self, path, seconds, status=0):
        super().__init__(None, Measurements(path))
        self.seconds = seconds
        self.status = status
        self.asked = []

    def _compile(self, engine, arrays):
        def run(events, arrays):
            self.asked.append(engine)
            self.clock.now += self.seconds[engine] * events
            return self.status

        return run

    def _key(self):
        return "a program on a machine"


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    monkeypatch.setattr(choosing, "why_no_cuda", lambda package: "")
    monkeypatch.setattr(choosing, "require_cuda", lambda package: None)
    monkeypatch.setattr(Pretended, "clock", Clock(), raising=False)
    monkeypatch.setattr(choosing, "time", Pretended.clock)

    def made(**seconds):
        return Pretended(tmp_path / "costs.json", seconds)

    return made


def asked(engines, events, times=1, wanted="auto"):
    engines.asked.clear()
    with computing_with(wanted) as computing:
        for _ in range(times):
            engines(events, {})
    assert computing.used == engines.asked[-1]
    return engines.asked


@pytest.mark.parametrize("better", ["cpu", "cuda"])
def test_the_faster_one_is_found_and_remembered(pretended, better):
    seconds = {"cpu": 2e-6, "cuda": 2e-6} | {better: 1e-6}
    engines = pretended(**seconds)
    # Each compiles at its first call, which is not measured.
    assert asked(engines, 100_000, 4) == ["cpu", "cpu", "cuda", "cuda"]
    assert asked(engines, 100_000, 3) == [better] * 3
    another_session = pretended(**seconds)
    assert asked(another_session, 100_000, 2) == [better] * 2


def test_what_is_wanted_is_done_and_a_gpu_is_known_from_then_on(pretended):
    engines = pretended(cpu=1e-6, cuda=2e-6)
    assert asked(engines, 10**6, 2, wanted="cuda") == ["cuda"] * 2
    assert asked(engines, 10**6, 2, wanted="cpu") == ["cpu"] * 2
    # The CPU was not measured: nothing is when it is demanded.
    assert asked(engines, 10**6, 2) == ["cpu"] * 2


def test_a_chunk_that_fails_is_not_measured(pretended):
    engines = pretended(cpu=1e-6, cuda=1e-9)
    engines.status = 3
    assert asked(engines, 10**6, 5) == ["cpu"] * 5


@WITHOUT_GPU
def test_without_a_gpu_only_the_cpu_is_used_and_nothing_is_measured(tmp_path):
    engines = Pretended(tmp_path / "costs.json", {"cpu": 1.0})
    Pretended.clock = Clock()
    assert asked(engines, 10**6, 3) == ["cpu"] * 3
    assert not (tmp_path / "costs.json").exists()


@WITHOUT_GPU
def test_demanding_a_gpu_that_is_not_there_is_one_clear_line(made_up):
    def arrays(events):
        return hist.Hist.new.Reg(1, 0, 1).Double().fill(np.asarray(events.weight))

    for analysis in (KERNELS["pairs"], arrays):
        with pytest.raises(UsageError, match=r"no NVIDIA GPU; backend='auto'") as error:
            Dataset(made_up).run(analysis, on="serial", backend="cuda", progress=False)
        assert "\n" not in str(error.value)


def test_an_unknown_back_end_is_named(made_up):
    with pytest.raises(UsageError, match="'gpu'.*'cpu', 'cuda', 'auto'"):
        Dataset(made_up).run(KERNELS["pairs"], on="serial", backend="gpu")
