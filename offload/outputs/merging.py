"""Declared outputs go where the person expects them: a three-way merge."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from offload.outputs.changes import Change, What
from offload.outputs.errors import OutputsError
from offload.outputs.globs import Declared
from offload.outputs.journal import Journal
from offload.outputs.landing import OUTPUTS, Landed
from offload.outputs.placing import Placing
from offload.outputs.prior import Prior
from offload.outputs.reaching import RefusedError, Spot, check, reach
from offload.outputs.report import Item, Outcome, Report
from offload.outputs.states import State, to_bytes
from offload.outputs.writing import write_whole

JOURNAL = "merge.jsonl"
REPORT = "report.json"

_THEIR_OWN_FAULT = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL}
)
"""Errors of one path that do not go away by trying again."""


def merge(
    landed: Landed,
    root: Path,
    job: str,
    *,
    globs: Sequence[str],
    elsewhere: Sequence[Path] = (),
    prior: Prior | None = None,
    progress: Callable[[Item], None] | None = None,
) -> Report:
    """Merge what a job made of declared outputs into the folders of the person.

    What is here as it was frozen is replaced, what was changed here meanwhile stays
    and the job's version goes beside it as ``NAME.ID`` (``STEM.ID.ipynb``; a notebook
    is never replaced). Deletions are only reported; what was not declared stays in the
    job's folder. Content and permissions are merged; times, owners, access lists and
    hard links of what is replaced are not kept.

    Guarantees: killed anywhere and called again, it ends in the same state, also with
    edits made in between; no edit is lost, also none made in the very instant of the
    replacement (see :mod:`offload.outputs.placing`; on NFS, which cannot exchange two
    names, up to microseconds, see :func:`offload.outputs.kernel.exchange`). Once it
    has ended, further calls return the same report and touch nothing.

    Args:
        landed: see :func:`land`.
        root: the working folder here, at the path that the job saw.
        job: its id, part of names beside.
        globs: what the person declared; the site's word is not taken for it.
        elsewhere: folders other than ``root`` where absolute globs may put things.
        prior: what was here, but not frozen, when the job was submitted.
        progress: told each path that is done.

    Raises:
        OutputsError: the file system fails (no space, for one): call again.
    """
    report_path = landed.folder / REPORT
    journal_path = landed.folder / JOURNAL
    if report_path.exists():
        journal_path.unlink(missing_ok=True)
        return Report.loads(report_path.read_bytes())
    journal = Journal(journal_path)
    top = os.fsencode(root)
    merger = _Merger(
        landed,
        top,
        job,
        Declared(tuple(globs), top),
        frozenset([top, *map(os.fsencode, elsewhere)]),
        prior or Prior({}),
        journal,
    )
    items: list[Item] = []
    try:
        for change in landed.changes.changes:
            items.append(merger.settle(change))
            if progress is not None:
                progress(items[-1])
    except OSError as error:
        raise OutputsError(
            f"{root}: the outputs of job {job} cannot be merged now: {error.strerror}: "
            "nothing is lost, it goes on from there"
        ) from error
    finally:
        journal.close()
    report = Report(job, tuple(items), tuple(_notices(landed, globs)))
    write_whole(report_path, report.dumps().encode())
    journal_path.unlink()
    return report


@dataclass(frozen=True, slots=True)
class _Merger:
    """What is the same for all paths of one merge."""

    landed: Landed
    root: bytes
    job: str
    declared: Declared
    areas: frozenset[bytes]
    """Folders where outputs may go."""
    prior: Prior
    journal: Journal

    def settle(self, change: Change) -> Item:
        """Bring one path to its end, or return what became of it before."""
        is_working = change.area == self.landed.changes.working
        area = self.root if is_working else change.area
        last = self.journal.last(change.about)
        if last is not None and last["step"] == "done":
            return Item.from_json(last["item"])
        path = area + b"/" + change.path
        try:
            item = self._merge(change, area, path)
        except RefusedError as error:
            item = Item(path, Outcome.REFUSED, None, str(error))
        except OSError as error:
            if error.errno not in _THEIR_OWN_FAULT:
                raise
            item = Item(path, Outcome.REFUSED, None, str(error.strerror))
        self.journal.write(change.about, "done", item=item.to_json())
        return item

    def _merge(self, change: Change, area: bytes, path: bytes) -> Item:
        check(change.path)
        if area not in self.areas:
            raise RefusedError("outside of the folders where outputs may go")
        if change.what is What.DELETED or change.now is None:
            return Item(path, Outcome.DELETED_THERE)
        landed = self.landed.path(change.area, change.path)
        if not self.declared.matching(path):
            return Item(path, Outcome.ONLY_LANDED, landed)
        if change.unsettled:
            return Item(
                path,
                Outcome.ONLY_LANDED,
                landed,
                "it was still being written when the job ended",
            )
        if not Path(os.fsdecode(area)).is_dir():
            return Item(
                path, Outcome.ONLY_LANDED, landed, "its folder is not here any more"
            )
        return self._place(change, change.now, area, landed)

    def _place(self, change: Change, theirs: State, area: bytes, landed: bytes) -> Item:
        def placing(spot: Spot) -> Placing:
            return Placing(
                job=self.job,
                change=change,
                theirs=theirs,
                landed=landed,
                area=area,
                journal=self.journal,
                prior=self.prior,
                spot=spot,
            )

        last = self.journal.last(change.about)
        if last is not None:
            with (
                contextlib.suppress(FileNotFoundError),  # the folder was moved away
                reach(area, to_bytes(last["at"]), job=None) as spot,
            ):
                item = placing(spot).resume(last)
                if item is not None:
                    return item
        with reach(area, change.path, job=self.job) as spot:
            return placing(spot).place()


def _notices(landed: Landed, globs: Sequence[str]) -> Iterable[str]:
    changes = landed.changes
    if not globs and changes.changes:
        yield (
            "no outputs were declared: everything that the job changed is in "
            f"{landed.folder / OUTPUTS}"
        )
    for glob in changes.unmatched:
        yield f"--outputs {glob!r} matched nothing at the end of the job"
    for one in changes.left_out:
        yield f"{one.path.decode('utf-8', 'backslashreplace')!r} did not come: {one.why}"
