"""Nothing of the library moves data to the host, imports cupy or needs numpy arrays.

A GPU is stood in for by arrays that, like cupy's, answer numpy's functions and refuse
to become numpy arrays; and by awkward's ``typetracer`` backend, which has no data that
could be looked at.
"""

import subprocess
import sys

import awkward as ak
import hist
import numpy as np
import pytest

from facility.columnar import kernels
from facility.columnar.backends import why_no_cuda
from facility.columnar.kernels import LumiMask, delta_phi, fill, four_vectors


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """A flat array elsewhere; ``get`` is the only way home, and is counted."""

    __cuda_array_interface__ = None
    travelled = 0

    def __init__(self, data):
        self._data = np.asarray(data)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion to a host array")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return DeviceArray(getattr(ufunc, method)(*map(bare, inputs), **kwargs))

    def __array_function__(self, function, types, args, kwargs):
        kwargs = {k: bare(v) for k, v in kwargs.items() if k != "like"}
        found = function(*map(bare, args), **kwargs)
        return DeviceArray(found) if isinstance(found, np.ndarray) else found

    def __getitem__(self, where):
        return DeviceArray(self._data[bare(where)])

    def __len__(self):
        return len(self._data)

    @property
    def dtype(self):
        return self._data.dtype

    @property
    def shape(self):
        return self._data.shape

    @property
    def ndim(self):
        return self._data.ndim

    def astype(self, dtype):
        return DeviceArray(self._data.astype(dtype))

    def get(self):
        DeviceArray.travelled += self._data.nbytes
        return self._data


def bare(value):
    return value._data if isinstance(value, DeviceArray) else value


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    return rng.normal(1, 2, 1000), rng.integers(0, 5, 1000), rng.normal(0, 1, 1000)


@pytest.mark.parametrize("storage", [hist.storage.Double, hist.storage.Weight])
def test_only_bins_travel_when_a_histogram_is_filled(rows, storage):
    axes = (
        hist.axis.Regular(10, 0, 3),
        hist.axis.Integer(0, 4),
        hist.axis.StrCategory(["ee", "mm"]),
    )
    x, number, weight = rows
    host, device = (hist.Hist(*axes, storage=storage()) for _ in range(2))
    fill(host, x, number, "mm", weight=weight)
    DeviceArray.travelled = 0
    fill(device, DeviceArray(x), DeviceArray(number), "mm", weight=DeviceArray(weight))
    assert device == host
    bins = 12 * 6 * 3 + 1
    assert DeviceArray.travelled == bins * 8 * (
        2 if storage.__name__ == "Weight" else 1
    )


def test_an_axis_that_is_not_known_there_is_filled_here(rows):
    axis = hist.axis.Regular(10, 1, 3, transform=hist.axis.transform.sqrt)
    x = np.abs(rows[0])
    host, device = hist.Hist(axis), hist.Hist(axis)
    assert fill(device, DeviceArray(x)) == fill(host, x)


def test_masks_and_angles_stay_where_they_are(rows):
    mask = LumiMask.from_runs({1: [[2, 3]], 3: [[0, 4]]})
    _, number, _ = rows
    found = mask(DeviceArray(number), DeviceArray(number[::-1].copy()))
    assert isinstance(found, DeviceArray)
    assert found.get().tolist() == mask(number, number[::-1].copy()).tolist()
    assert isinstance(delta_phi(found.astype(float), 1.0), DeviceArray)


def _jagged():
    columns = {n: ak.Array([[1.0, 2.0], [3.0]]) for n in ("pt", "eta", "phi", "mass")}
    return four_vectors(**columns)


def sum_of_two(first, second):
    return first + second


CALLS = {
    "mass": lambda o: (o + o).mass,
    "rapidity": lambda o: o.rapidity,
    "total": lambda o: kernels.total(o).pt,
    "pairs": lambda o: sum_of_two(*kernels.pairs(o)).mass,
    "cross": lambda o: kernels.delta_r(*kernels.cross(o, o)),
    "transverse_mass": lambda o: kernels.transverse_mass(o, o[:, 0]),
    "argmin_by": lambda o: kernels.argmin_by(o, "pt").pt,
    "argmax_by": lambda o: kernels.argmax_by(o, "pt").pt,
    "closest": lambda o: kernels.closest(o, o.pt, 2).pt,
    "is_near": lambda o: kernels.is_near(o, o, 0.4),
    "cleaned": lambda o: kernels.cleaned(o, o, 0.4).pt,
    "nearest": lambda o: kernels.nearest(o, o, 0.4).pt,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_arrays_stay_on_their_backend(call):
    traced = call(ak.to_backend(_jagged(), "typetracer"))
    assert ak.backend(traced) == "typetracer"
    assert traced.type.content == call(_jagged()).type.content


def test_cupy_is_not_imported():
    script = (
        "import sys, facility.columnar.kernels; "
        "print(sorted({'cupy', 'numba', 'coffea', 'vector'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.gpu
@pytest.mark.skipif(bool(why_no_cuda("cupy")), reason="no NVIDIA GPU")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_gpu_computes_the_same(call):
    found = call(ak.to_backend(_jagged(), "cuda"))
    assert ak.backend(found) == "cuda"
    assert ak.almost_equal(ak.to_backend(found, "cpu"), call(_jagged()))
