"""Columnar analysis: a function ``events -> histogram`` over files, anywhere.

    from facility.columnar import Dataset
    result = Dataset("data/*.root").run(analysis, on=cluster)

Importing it does not import Dask: only running on a cluster does.
"""

from facility.columnar.dataset import Dataset
from facility.columnar.errors import (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
)
from facility.columnar.events import Collection, Events
from facility.columnar.executors import Batch
from facility.columnar.kernels import leading, massless_pair_mass, pair_mass
from facility.columnar.processors import Processor
from facility.columnar.provenance import Provenance
from facility.columnar.result import Result, load

__all__ = [
    "AnalysisError",
    "Batch",
    "ChunkError",
    "Collection",
    "Dataset",
    "DatasetError",
    "Events",
    "MissingBranchError",
    "Processor",
    "Provenance",
    "Result",
    "leading",
    "load",
    "massless_pair_mass",
    "pair_mass",
]
