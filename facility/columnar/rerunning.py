"""A saved result computed again: the same bytes, or what is not as it was."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uhi.io.json

from facility.columnar.code import code_digest
from facility.columnar.errors import DatasetError, one_line
from facility.columnar.executors import Where
from facility.columnar.formats import open_columns
from facility.columnar.formats.base import FileIdentity
from facility.columnar.provenance import Provenance, environment
from facility.columnar.record import Record
from facility.columnar.result import Result, document
from facility.columnar.running import run_chunks
from facility.environment import difference
from facility.errors import FacilityError, UsageError


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved result, as text: nothing in it has run."""

    path: Path
    histograms: Mapping[str, Any]
    """As UHI JSON has them; the name is empty for the only one."""
    provenance: Provenance
    record: Record

    def file_changes(self) -> dict[str, str]:
        """Return what is not as it was of each input file that cannot be the same."""
        trees = {chunk.file: chunk.tree for chunk in self.provenance.plan}
        found = {f.path: _change(f, trees.get(f)) for f in self.read_files()}
        return {path: change for path, change in found.items() if change}

    def read_files(self) -> list[FileIdentity]:
        """Return the files that are in the result, not those that were skipped."""
        made = self.provenance
        skipped = {made.plan[c.index].file for c in made.chunks if c.skipped}
        used = {made.plan[c.index].file for c in made.chunks if not c.skipped}
        return [file for file in made.files if file not in skipped or file in used]

    def touched_files(self) -> list[str]:
        """Return input files that seem the same but have another time."""
        changed = self.file_changes()
        return [
            file.path
            for file in self.read_files()
            if file.path not in changed and _present(file) != file
        ]

    def environment_change(self) -> str:
        """Return how this environment differs, in one line; empty if it does not."""
        found = difference(self.record.environment, environment())
        return "" if found.is_empty else found.describe("then", "now")


@dataclass(frozen=True, slots=True)
class Again:
    """What came out when a saved result was computed again."""

    result: Result
    differences: Mapping[str, str]
    """What differs of each histogram, by name; empty if the bytes are the same."""
    is_same_code: bool
    """Whether the code has the digest that it had."""


def read_saved(path: Path, *, trust: bool = False) -> Saved:
    """Read a saved result; runs nothing of it.

    Args:
        path: what :meth:`Result.save` wrote.
        trust: read it though somebody else may have written it.

    Raises:
        UsageError: others own it or may write to it: what it holds would be run.
        DatasetError: it is no saved result, or an old one that holds no analysis.
    """
    try:
        with path.open("rb") as file:
            if not trust:
                _refuse_strangers(path, os.fstat(file.fileno()))
            whole = json.loads(file.read())
        histograms = {"": whole} if "uhi_schema" in whole else whole
        first, *_ = histograms.values()
        metadata = first["metadata"]
        if "rerun" not in metadata:
            raise DatasetError(
                f"{path} holds no analysis: it was not written by Result.save, or by an "
                "older version"
            )
        return Saved(
            path,
            histograms,
            Provenance.from_json(metadata["provenance"]),
            Record.from_json(metadata["rerun"]),
        )
    except FacilityError:
        raise
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is no saved result: expected JSON") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DatasetError(f"{path} is no saved result: {one_line(error)}") from error


def compute_again(saved: Saved, *, on: Where = None, progress: bool = True) -> Again:
    """Run the analysis that the file holds, over the same chunks of the same files.

    Chunks that were skipped are skipped again.

    Raises:
        UsageError: the analysis cannot be loaded here.
        FacilityError: as :meth:`Dataset.run`.
    """
    made = saved.provenance
    skipped = {c.index: c.skipped for c in made.chunks if c.skipped}
    task = replace(saved.record.load_task(), left_out=skipped)
    if len(made.backends) == 1:  # which is faster may be another one now
        task = replace(task, backend=next(iter(made.backends)))
    # They are the same files, as far as can be told, but may have another time.
    now = dict(zip(made.files, made.files, strict=True))
    now |= {file: _present(file) for file in saved.read_files()}
    result = run_chunks(
        task,
        tuple(replace(chunk, file=now[chunk.file]) for chunk in made.plan),
        files=tuple(now.values()),
        branches=made.branches,
        on=on,
        progress=progress,
    )
    value = result.value if isinstance(result.value, Mapping) else {"": result.value}
    return Again(
        result,
        dict(_differences(saved.histograms, value)),
        code_digest(task.analysis) == made.code_digest,
    )


def _refuse_strangers(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"{path} belongs to somebody else (uid {found.st_uid}), and to run it again "
            "runs what it holds: look at it with --source, then --trust it"
        )
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(
            f"{path} may be written by everybody, and to run it again runs what it "
            "holds: look at it with --source, then --trust it (and chmod o-w)"
        )


def _present(file: FileIdentity) -> FileIdentity:
    return FileIdentity.of(file.location, file.uuid)


def _change(file: FileIdentity, tree: str | None) -> str:
    """Return what shows that a file is another one; a new time alone does not.

    If its bytes changed though size and UUID did not, the histograms tell.
    """
    try:
        now = _present(file)
        if now.size_bytes != file.size_bytes:
            return f"{file.size_bytes:,} bytes then, {now.size_bytes:,} now"
        if now == file:
            return ""
        now = open_columns(file.location, tree or None).identity
    except (OSError, FacilityError) as error:
        return f"cannot be read now: {one_line(error)}"
    return "" if now.uuid == file.uuid else f"UUID {file.uuid} then, {now.uuid} now"


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys([*then, *now]):
        if name not in now:
            yield name, "was there, is not now"
        elif name not in then:
            yield name, "was not there"
        else:
            text = json.dumps(document(now[name], {}), default=uhi.io.json.default)
            a, b = _essence(then[name]), _essence(json.loads(text))
            # As text: NaN equals itself there, and so does every bit of a number.
            if json.dumps(a) != json.dumps(b):
                yield name, _what_differs(a, b)


def _essence(histogram: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of a histogram's JSON but who wrote it, when and from what."""
    metadata = dict(histogram["metadata"])
    for key in ("provenance", "rerun"):
        metadata.pop(key, None)
    return {
        "axes": histogram["axes"],
        "storage": histogram["storage"],
        "metadata": metadata,
    }


def _what_differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    for what in ("axes", "metadata"):
        if json.dumps(then[what]) != json.dumps(now[what]):
            return f"other {what}"
    a, b = _numbers(then["storage"]), _numbers(now["storage"])
    if len(a) != len(b):
        return "another storage"
    differing = sum(x != y for x, y in zip(a, b, strict=True))
    return f"{differing} of {len(a)} numbers differ"


def _numbers(part: Any) -> list[str]:
    """Return all leaves of a storage as text: values, variances, its type."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        return [number for one in part for number in _numbers(one)]
    return [repr(part)]
