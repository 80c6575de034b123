"""At the end of a job: everything that it changed, as one pack beside its folders."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from offload.outputs.baseline import Baseline
from offload.outputs.changes import Change, Changes, LeftOut, What
from offload.outputs.errors import PackError
from offload.outputs.finding import Area, Found, Search
from offload.outputs.globs import Declared
from offload.outputs.members import CHANGES
from offload.outputs.packing import Written, write
from offload.outputs.states import to_bytes
from offload.outputs.writing import write_whole

PACK = "outputs.tar.zst"


@dataclass(frozen=True, slots=True)
class Pack:
    """A complete pack and what is in it."""

    path: Path
    digest: str
    """``sha256:`` and hexadecimal: the ETag of its download."""
    size: int
    changes: Changes


def collect(
    working: Area,
    baseline: Baseline,
    destination: Path,
    *,
    globs: Sequence[str] = (),
    elsewhere: Sequence[Area] = (),
    mountpoints: Container[bytes] = frozenset(),
) -> Pack:
    """Pack what a job created and changed, and say what it deleted.

    ``destination/outputs.tar.zst`` is whole or not there, whatever is killed; once it
    is there, further calls return it and pack nothing. The same folders give the same
    bytes. Memory does not depend on the size of files, only on their number.

    Files to which somebody still writes are marked as unsettled; what cannot be read,
    and sockets, pipes and devices, are listed as left out. Bytecode caches that were
    not frozen stay.

    Args:
        working: the working folder.
        baseline: what was frozen, see :meth:`Baseline.of`.
        destination: folder of the pack, outside of ``working``.
        globs: declared outputs; absolute ones are looked for in ``elsewhere`` too.
        elsewhere: other folders that the job could write to, such as its home.
        mountpoints: paths relative to ``working`` where other trees were mounted.

    Raises:
        NoSpaceError: there is none for the pack.
    """
    done = read(destination)
    if done is not None:
        return done
    search = Search(
        working, baseline, Declared(tuple(globs), to_bytes(working.mount)), mountpoints
    )

    def found() -> Iterator[Found]:
        yield from search.changed()
        yield from search.elsewhere(elsewhere)

    def leave_out(one: Found, why: str) -> None:
        search.left_out.append(LeftOut(one.area + b"/" + one.path, why))

    def complete(packed: list[Change]) -> Changes:
        mount = to_bytes(working.mount)
        deleted = [
            Change(mount, path, What.DELETED, frozen, None, declared)
            for path, frozen, declared in search.deleted()
        ]
        return Changes(
            working=mount,
            changes=tuple(
                sorted([*packed, *deleted], key=lambda one: (one.area, one.path))
            ),
            globs=tuple(globs),
            unmatched=search.unmatched,
            left_out=tuple(search.left_out),
        )

    draft = destination / f"{PACK}.new"
    written, changes = write(draft, found(), complete, leave_out)
    _save_record(destination, written, changes)
    draft.replace(destination / PACK)
    return Pack(destination / PACK, written.digest, written.size, changes)


def read(destination: Path) -> Pack | None:
    """Return the pack that :func:`collect` left here; ``None`` before it is whole.

    Raises:
        PackError: what lies beside it does not belong to it.
    """
    path = destination / PACK
    if not path.exists():
        return None
    try:
        record = json.loads((destination / CHANGES).read_bytes())
        digest, size = str(record["digest"]), int(record["size"])
        changes = Changes.from_json(record["changes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackError(f"{destination / CHANGES}: cannot be read: {error}") from error
    if path.stat().st_size != size:
        raise PackError(
            f"{path}: expected {size} bytes, found {path.stat().st_size}: it was "
            "changed after it was written"
        )
    return Pack(path, digest, size, changes)


def _save_record(destination: Path, written: Written, changes: Changes) -> None:
    """Write it before the pack gets its name: with that name, both are there."""
    record = {
        "digest": written.digest,
        "size": written.size,
        "changes": changes.to_json(),
    }
    text = json.dumps(record, sort_keys=True, indent=1)
    write_whole(destination / CHANGES, text.encode())
