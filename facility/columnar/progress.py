"""A progress bar in events and bytes, in terminals and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tqdm.std import tqdm

from facility.columnar.computing import ChunkReport
from facility.columnar.planning import Chunk


class Progress:
    """Counts computed chunks; shows events/s, bytes/s and the time that is left.

    Plain text: it needs no widgets, and an executed notebook keeps it readable.
    """

    def __init__(self, chunks: Sequence[Chunk], *, show: bool) -> None:
        self._left = {chunk.index: chunk.events for chunk in chunks}
        self._bytes = 0
        self._bar = tqdm(
            total=sum(self._left.values()),
            unit=" events",
            unit_scale=True,
            disable=not show,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def computed(self, index: int) -> None:
        """Count a chunk, once."""
        self._bar.update(self._left.pop(index, 0))

    def added(self, reports: Sequence[ChunkReport]) -> None:
        """Count the bytes of chunks that are in the sum, and those not yet counted."""
        if self._bar.disable:
            return
        self._bytes += sum(report.bytes_read for report in reports)
        elapsed = max(self._bar.format_dict["elapsed"], 1e-9)
        self._bar.set_postfix_str(
            f"{self._bytes / elapsed / 1e6:.0f} MB/s", refresh=False
        )
        for report in reports:
            self.computed(report.index)
