"""Where chunks are computed: this thread, threads, or a Dask cluster."""

from facility.columnar.executors.base import Executor
from facility.columnar.executors.choosing import Where, executor_for

__all__ = ["Executor", "Where", "executor_for"]
