"""Physics with arrays: one API on numpy and awkward, in host memory or on a GPU.

    muons = objects(events.Muon, "charge")
    first, second = pairs(muons)
    opposite = first.charge != second.charge
    fill(histogram, (first + second).mass[opposite], weight=events.genWeight)

Arrays stay where they are: with awkward's ``cuda`` backend and with cupy everything is
computed on the GPU. Nothing here imports cupy.
"""

from facility.columnar.kernels.angles import delta_phi
from facility.columnar.kernels.arrays import selected
from facility.columnar.kernels.choosing import argmax_by, argmin_by, closest
from facility.columnar.kernels.combining import combinations, cross, pairs
from facility.columnar.kernels.filling import fill
from facility.columnar.kernels.fourvectors import four_vectors, total
from facility.columnar.kernels.kinematics import delta_r, transverse_mass
from facility.columnar.kernels.leading import leading
from facility.columnar.kernels.lumi import LumiMask
from facility.columnar.kernels.masses import (
    mass_of_sum,
    massless_pair_mass,
    pair_mass,
)
from facility.columnar.kernels.matching import cleaned, is_near, nearest
from facility.columnar.kernels.objects import objects

__all__ = [
    "LumiMask",
    "argmax_by",
    "argmin_by",
    "cleaned",
    "closest",
    "combinations",
    "cross",
    "delta_phi",
    "delta_r",
    "fill",
    "four_vectors",
    "is_near",
    "leading",
    "mass_of_sum",
    "massless_pair_mass",
    "nearest",
    "objects",
    "pair_mass",
    "pairs",
    "selected",
    "total",
    "transverse_mass",
]
