"""What an element of a batch job runs: its chunks, one result file for each.

    python -m facility.columnar.executors.batch_job FOLDER

``FOLDER`` holds the work; results are written below the working directory, each at
once, so that those of a job that runs out of time come back too.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from facility.columnar.errors import one_line
from facility.columnar.executors.batch_files import Work, save_result
from facility.columnar.executors.outcome import outcome
from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import Chunk
from facility.columnar.remote import is_remote


def run(folder: Path, target: Path, element: int) -> bool:
    """Compute the chunks of one element; return whether all could be computed."""
    work = Work.load(folder)
    failed = False
    for chunk in work.parts[element]:
        there = _as_here(chunk) if work.is_data_sent else chunk
        result, error = outcome(there, work.task)
        save_result(target / f"batch-{work.run}", work.run, chunk.index, result)
        if error is not None:
            print(one_line(error), file=sys.stderr, flush=True)  # noqa: T201 - the job's log
            failed = True
    return not failed


def _as_here(chunk: Chunk) -> Chunk:
    """Return the chunk of the copy that came along: it has another time."""
    if is_remote(chunk.file.path):
        return chunk
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
