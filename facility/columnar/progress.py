"""A progress bar in events and bytes, in terminals and notebooks."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tqdm.std import tqdm

from facility.columnar.computing import ChunkReport


class Progress:
    """Counts finished chunks; shows events/s and bytes/s.

    Plain text: it needs no widgets, and an executed notebook keeps it readable.
    """

    def __init__(self, events: int, *, show: bool) -> None:
        self._bytes = 0
        self._bar = tqdm(
            total=events, unit=" events", unit_scale=True, disable=not show
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

    def finished(self, report: ChunkReport) -> None:
        """Count one chunk."""
        if self._bar.disable:
            return
        self._bytes += report.bytes_read
        elapsed = max(self._bar.format_dict["elapsed"], 1e-9)
        self._bar.set_postfix_str(
            f"{self._bytes / elapsed / 1e6:.0f} MB/s", refresh=False
        )
        self._bar.update(report.events)
