"""Histograms as flat arrays: which storage, which strides, which bin for which value.

The order of bins is that of ``hist.view(flow=True)``, the last axis fastest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import boost_histogram as bh
import hist
import numpy as np
import numpy.typing as npt

from facility.columnar.fused.errors import KernelError

Kind = Literal["regular", "variable", "integer", "int category", "text", "bool"]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis, as far as filling goes."""

    kind: Kind
    name: str
    bins: int
    """Without flow."""
    has_underflow: bool
    has_overflow: bool
    is_circular: bool
    numbers: tuple[float, ...] = ()
    """Low edge and width of all bins together (regular); low edge (integer)."""
    values: npt.NDArray[Any] | tuple[str, ...] | None = None
    """Edges (variable) or categories."""
    forward: tuple[str, ...] = ()
    """The transform: name, and its parameter."""

    @property
    def extent(self) -> int:
        return self.bins + self.has_underflow + self.has_overflow


@dataclass(frozen=True, eq=False)
class Layout:
    """A histogram, as far as filling goes."""

    axes: tuple[Axis, ...]
    strides: tuple[int, ...]
    """How far apart neighbouring bins of each axis are."""
    has_variance: bool
    """Whether weights are added up together with their squares."""
    takes_weights: bool

    @property
    def bins(self) -> int:
        """All, with flow."""
        return int(np.prod([axis.extent for axis in self.axes], dtype=np.int64))


def layout_of(name: str, template: Any) -> Layout:
    """Return how a kernel fills a histogram.

    Raises:
        KernelError: it is no ``hist.Hist``, or has an axis or a storage that kernels
            do not fill.
    """
    if not isinstance(template, bh.Histogram):
        raise KernelError(
            f"parameter {name!r}: expected a hist.Hist, got {type(template).__name__}"
        )
    if template.storage_type not in (
        hist.storage.Double,
        hist.storage.Int64,
        hist.storage.Weight,
    ):
        raise KernelError(
            f"histogram {name!r}: kernels fill storages Double, Int64 and Weight, got "
            f"{template.storage_type.__name__}"
        )
    axes = tuple(_axis(name, axis) for axis in template.axes)
    strides = [1]
    for axis in reversed(axes[1:]):
        strides.insert(0, strides[0] * axis.extent)
    return Layout(
        axes,
        tuple(strides),
        has_variance=template.storage_type is hist.storage.Weight,
        takes_weights=template.storage_type is not hist.storage.Int64,
    )


def _axis(histogram: str, axis: Any) -> Axis:
    traits = axis.traits
    where = f"histogram {histogram!r}, axis {getattr(axis, 'name', '')!r}"
    if traits.growth:
        raise KernelError(
            f"{where}: growing axes are not filled by kernels: give it all its bins"
        )
    common = (
        getattr(axis, "name", ""),
        int(axis.size),
        bool(traits.underflow),
        bool(traits.overflow),
        bool(traits.circular),
    )
    match axis:
        case bh.axis.Regular():
            return _regular(where, axis, common)
        case bh.axis.Variable() if not traits.circular:
            edges = np.ascontiguousarray(axis.edges, np.float64)
            return Axis("variable", *common, values=edges)
        case bh.axis.Boolean():
            return Axis("bool", *common)
        case bh.axis.Integer() if not traits.circular:
            return Axis("integer", *common, numbers=(int(axis.edges[0]),))
        case bh.axis.IntCategory():
            values = np.array([axis.bin(i) for i in range(axis.size)], np.int64)
            return Axis("int category", *common, values=values)
        case bh.axis.StrCategory():
            texts = tuple(str(axis.bin(i)) for i in range(axis.size))
            return Axis("text", *common, values=texts)
    circular = "circular " if traits.circular else ""
    raise KernelError(
        f"{where}: kernels do not fill {circular}{type(axis).__name__} axes"
    )


def _regular(where: str, axis: Any, common: tuple[str, int, bool, bool, bool]) -> Axis:
    # Edges are rounded: only the pickled state has the two numbers that fill uses.
    low, width = (float(x) for x in axis._ax.__getstate__()[-2:])
    match axis.transform:
        case None:
            forward: tuple[str, ...] = ()
        case bh.axis.transform.Pow(power=power):
            forward = ("math.pow", repr(float(power)))
        case bh.axis.transform.log:
            forward = ("math.log",)
        case bh.axis.transform.sqrt:
            forward = ("math.sqrt",)
        case transform:
            raise KernelError(f"{where}: kernels do not know the transform {transform}")
    return Axis("regular", *common, numbers=(low, width), forward=forward)
