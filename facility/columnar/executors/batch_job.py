"""What an element of a batch job runs: its chunks, one result file for each.

    python -m facility.columnar.executors.batch_job FOLDER

``FOLDER`` holds the work; results are written below the working directory, each at
once, so that those of a job that runs out of time come back too.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import cloudpickle

from facility.columnar.computing import Partial, compute_serialised
from facility.columnar.errors import (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
    ReadError,
    one_line,
)
from facility.columnar.executors.batch_files import Failure, Work, save_result
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.errors import FacilityError

_KNOWN_AT_HOME = (
    AnalysisError,
    ChunkError,
    DatasetError,
    MissingBranchError,
    ReadError,
)


def run(folder: Path, target: Path, element: int) -> bool:
    """Compute the chunks of one element; return whether all could be computed."""
    work = Work.load(folder)
    failed = False
    for chunk in work.parts[element]:
        result = _result(work, _as_here(chunk) if work.is_data_sent else chunk)
        failed |= isinstance(result, Failure)
        save_result(target / f"batch-{work.run}", work.run, chunk.index, result)
    return not failed


def _result(work: Work, chunk: Chunk) -> Partial | Failure:
    try:
        partial = compute_serialised(chunk, work.task)
        cloudpickle.dumps(partial)
    except FacilityError as error:
        print(f"{chunk}: {one_line(error)}", file=sys.stderr, flush=True)  # noqa: T201 - the job's log
        return Failure(_portable(error), not isinstance(error.__cause__, OSError))
    except Exception as error:  # noqa: BLE001 - whatever a pickle may raise
        message = f"{chunk}: cannot be sent back: {one_line(error)}"
        return Failure(ChunkError(message), is_final=True)
    return partial


def _portable(error: FacilityError) -> FacilityError:
    """Return an error that arrives at home, with the traceback as a note."""
    if not isinstance(error, _KNOWN_AT_HOME):
        error = ChunkError(one_line(error))
    error.add_note("".join(traceback.format_exception(error)))
    return error


def _as_here(chunk: Chunk) -> Chunk:
    """Return the chunk of the copy that came along: it has another time."""
    try:
        here = FileIdentity.of(Path(chunk.file.path), chunk.file.uuid)
    except OSError:
        return chunk  # reading says it better
    is_whole = here.size_bytes == chunk.file.size_bytes
    return replace(chunk, file=here) if is_whole else chunk


def main() -> int:
    """Run the element that the job's environment names; return its exit code."""
    element = int(os.environ.get("FACILITY_JOB_INDEX", "0"))
    return 0 if run(Path(sys.argv[1]), Path.cwd(), element) else 1


if __name__ == "__main__":
    sys.exit(main())
