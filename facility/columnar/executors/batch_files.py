"""What goes to a batch job and what comes back: pickles, as with a Dask cluster.

Who runs our jobs can make us run anything by what he sends back; only sites that one
would also trust with a Dask worker are sites for this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cloudpickle

from facility.columnar.computing import Partial
from facility.columnar.errors import ChunkError
from facility.columnar.executors.outcome import Failure
from facility.columnar.planning import Chunk

WORK = "work.pickle"
_RESULT = re.compile(r"chunk-([0-9a-f]+)-([0-9]+)\.pickle")


@dataclass(frozen=True, slots=True)
class Work:
    """All that the elements of one job compute."""

    run: str
    """Names the run; results of another are not taken for ours."""
    task: bytes
    """See :func:`facility.columnar.computing.serialise`."""
    parts: tuple[tuple[Chunk, ...], ...]
    """The chunks of each element of the job, by its index."""
    is_data_sent: bool
    """Whether files were sent along: there they have other times."""

    def save(self, folder: Path) -> None:
        (folder / WORK).write_bytes(cloudpickle.dumps(self))

    @classmethod
    def load(cls, folder: Path) -> Work:
        work = cloudpickle.loads((folder / WORK).read_bytes())
        assert isinstance(work, cls)
        return work


def save_result(folder: Path, run: str, index: int, result: bytes) -> None:
    """Write the result of a chunk; it has its name when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{index}.new"
    draft.write_bytes(result)
    draft.replace(folder / f"chunk-{run}-{index}.pickle")


def index_of(path: Path, run: str) -> int | None:
    """Return the chunk whose result a file of this run holds; ``None`` for others."""
    match = _RESULT.fullmatch(path.name)
    return int(match[2]) if match is not None and match[1] == run else None


def load_result(path: Path) -> Partial | Failure:
    """Read what :func:`save_result` wrote.

    Raises:
        ChunkError: it cannot be read here; names the file.
    """
    try:
        result = cloudpickle.loads(path.read_bytes())
    except Exception as error:
        raise ChunkError(
            f"{path}: the result of a chunk cannot be read here: {error}"
        ) from error
    if not isinstance(result, Partial | Failure):
        raise ChunkError(f"{path}: expected the result of a chunk, got {type(result)}")
    return result
