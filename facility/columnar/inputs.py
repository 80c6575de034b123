"""The files of a dataset: opened once for their metadata, then asked what they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from facility.columnar.computing import OnError
from facility.columnar.errors import DatasetError
from facility.columnar.formats import ColumnFile, FileIdentity, reopen
from facility.columnar.planning import Chunk, PlannedFile, chunk_size, evenly, plan
from facility.columnar.remote import Location
from facility.columnar.surveying import (
    Survey,
    in_threads,
    metadata,
    metadata_or_reason,
    require_same,
    survey,
    survey_of,
)


class Inputs:
    """Files with the same tree; at least one of them can be opened.

    Args:
        paths: of them.
        tree: name of the TTree or RNTuple; found if a file has one candidate.
        on_error: ``"skip"`` leaves out files that cannot be opened.

    Raises:
        DatasetError: a file cannot be opened, or none of them can.
    """

    def __init__(
        self, paths: Sequence[Location], tree: str | None, on_error: OnError
    ) -> None:
        if on_error == "raise":
            first, *others = paths
            # The first one is asked again and again, what others say is enough.
            opened = metadata(first, tree, is_kept=True)
            self.files = (
                opened,
                *in_threads(lambda path: metadata(path, tree), others),
            )
        else:
            self.files = tuple(
                in_threads(lambda path: metadata_or_reason(path, tree), paths)
            )
        self._readable = [file for file in self.files if not file.unreadable]
        if not self._readable:
            raise DatasetError(f"no file can be opened: {self.files[0].unreadable}")
        self._surveys: dict[tuple[str, ...], list[Survey]] = {}

    @cached_property
    def entries(self) -> int:
        """Events in all files."""
        return sum(file.entries for file in self.files)

    @property
    def first(self) -> ColumnFile:
        """The first that can be opened; open."""
        planned = self._readable[0]
        return reopen(planned.identity, planned.tree)

    @property
    def unreadable(self) -> Mapping[FileIdentity, str]:
        """Files that cannot be opened, and why."""
        return {f.identity: f.unreadable for f in self.files if f.unreadable}

    def planned(self, identity: FileIdentity) -> PlannedFile:
        """Return what planning knows of one of them."""
        return next(file for file in self.files if file.identity == identity)

    def surveyed(self, branches: Sequence[str]) -> list[Survey]:
        """Return what files say of branches; nothing where these are not known.

        Raises:
            MissingBranchError: a file lacks a branch that the first one has.
            DatasetError: a branch is of another type in another file.
        """
        names = tuple(branches)
        if names and names not in self._surveys:
            found = [
                survey(self.first, names),
                *in_threads(lambda file: survey_of(file, names), self._readable[1:]),
            ]
            require_same(found)
            self._surveys[names] = found
        return self._surveys.get(names, [])

    def chunks(
        self, branches: Sequence[str], events: int | None, memory_bytes: int
    ) -> tuple[Chunk, ...]:
        """Return the parts of all files that are computed one by one.

        Args:
            branches: what is read of each event; empty if that is not known.
            events: of a chunk; by what the branches take if none.
            memory_bytes: bound on what a chunk reads, uncompressed.

        Raises:
            FacilityError: as :meth:`surveyed`.
        """
        per_event = {s.path: s.bytes_per_event for s in self.surveyed(branches)}
        sizes = [
            chunk_size(events, memory_bytes, per_event.get(file.identity.path, 0))
            for file in self.files
        ]
        if events is None:
            pairs = zip(sizes, self.files, strict=True)
            sizes = [evenly(size, file.entries) for size, file in pairs]
        return plan(self.files, sizes)
