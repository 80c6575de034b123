"""What a GPU would do, in numba's simulator: the same bins as the body in Python."""

import numpy as np
import pytest

from facility.columnar import Dataset
from facility.columnar.events import Events
from facility.columnar.fused import KernelError
from tests.columnar.cuda.simulated import KERNELS

COUNTING = ["pairs", "of_objects", "larger_than_shared_memory"]
RANGES = [(0, 100), (0, 100), (100, 100), (100, 103)]
"""All, once more, no events, events without muons."""


def has_units(name, start, stop):
    """Return whether there is anything for a thread to do."""
    return start < stop and not (name == "of_objects" and start == 100)


def in_python(kernel, path, start, stop):
    return kernel.python(Events(Dataset(path)._first, start, stop))


@pytest.mark.parametrize("name", COUNTING)
def test_counts_are_those_of_the_body_in_python(simulated, made_up, name):
    for (start, stop), (value, used, _) in zip(RANGES, simulated[name], strict=True):
        assert value == in_python(KERNELS[name], made_up, start, stop)
        assert (used == "cuda") == has_units(name, start, stop)
    assert simulated[name][0][0].sum(flow=True) > 50


def test_weights_add_up_to_those_of_the_body_in_python(simulated, made_up):
    for (start, stop), (value, _, _) in zip(RANGES, simulated["weighted"], strict=True):
        truth = in_python(KERNELS["weighted"], made_up, start, stop)
        for histogram, expected in truth.items():
            found = value[histogram].view(flow=True)
            for field in found.dtype.names or [...]:
                same = expected.view(flow=True)[field]
                np.testing.assert_allclose(found[field], same, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*COUNTING, "weighted"])
def test_the_host_waits_at_most_three_times_a_chunk(simulated, name):
    for (start, stop), (_, _, calls) in zip(RANGES, simulated[name], strict=True):
        waits = calls.get("synchronize", 0) + calls.get("copy_to_host", 0)
        assert waits <= 3
        assert (waits >= 1) == has_units(name, start, stop)
        assert "to_device" not in calls


@pytest.mark.parametrize("name", [*COUNTING, "weighted"])
def test_memory_is_used_again_and_columns_travel_once(simulated, name):
    _, again, _, _ = simulated[name]
    calls = again[2]
    assert "device_array" not in calls
    assert "pinned_array" not in calls
    columns = {"pairs": 5, "of_objects": 2, "larger_than_shared_memory": 3}
    # Of one loop over objects only the columns; else the offsets too. And zeros for
    # counts; for weights, too, and the edges of bins that are not regular.
    others = {"of_objects": 1, "weighted": 4}
    assert calls["copy_to_device"] == columns.get(name, 6) + others.get(name, 2)


def test_a_failure_says_what_the_compiled_loop_says(simulated, made_up):
    kernel = KERNELS["asks_for_a_third_muon"]
    events = Events(Dataset(made_up)._first, 0, 100)
    with pytest.raises(KernelError) as raised:
        kernel(events)
    assert simulated[kernel.name][0][0] == str(raised.value)
    assert "event.Muon[2]" in str(raised.value)
    assert simulated[kernel.name][3][0].sum(flow=True) == 0


def test_a_run_is_reported_as_what_it_was(simulated, made_up):
    found, backends = simulated["run"]
    assert backends == {"cuda"}
    assert found == in_python(KERNELS["pairs"], made_up, 0, 300)


def test_weights_that_are_no_numbers_are_noted(simulated):
    pairs, histograms = 6, 2
    assert simulated["notes"]["NaN weights"] == pairs * histograms
    assert np.isnan(simulated["weighted"][0][0]["mass"].sum(flow=True).value)
