"""Where chunks are computed: this thread, threads, processes, batch jobs, or a Dask cluster."""

from facility.columnar.executors.base import Executor
from facility.columnar.executors.batch import Batch
from facility.columnar.executors.choosing import Where, executor_for
from facility.columnar.executors.processes import Processes

__all__ = ["Batch", "Executor", "Processes", "Where", "executor_for"]
