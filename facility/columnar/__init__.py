"""Columnar analysis: a function ``events -> histogram`` over files, anywhere.

    from facility.columnar import Dataset, kernel
    result = Dataset("data/*.root").run(analysis, on=cluster)

Importing it imports neither Dask nor numba: only running on a cluster, or a kernel, does.
"""

from facility.columnar.dataset import Dataset
from facility.columnar.errors import (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
    ReadError,
)
from facility.columnar.events import Collection, Events
from facility.columnar.executors import Batch, Processes
from facility.columnar.fused import Hist, Kernel, KernelError, kernel
from facility.columnar.kernels import leading, massless_pair_mass, pair_mass
from facility.columnar.processors import Processor
from facility.columnar.provenance import Provenance
from facility.columnar.result import Result, load
from facility.errors import UsageError

__all__ = [
    "AnalysisError",
    "Batch",
    "ChunkError",
    "Collection",
    "Dataset",
    "DatasetError",
    "Events",
    "Hist",
    "Kernel",
    "KernelError",
    "MissingBranchError",
    "Processes",
    "Processor",
    "Provenance",
    "ReadError",
    "Result",
    "UsageError",
    "kernel",
    "leading",
    "load",
    "massless_pair_mass",
    "pair_mass",
]
