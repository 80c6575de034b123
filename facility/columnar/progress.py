"""Progress in events and bytes: a bar in terminals and notebooks, lines elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tqdm.std import tqdm

from facility.columnar.computing import ChunkReport
from facility.columnar.planning import Chunk

_PAUSE_S = 30.0
"""Between two lines; a log is not read while it is written."""


class Progress:
    """Counts computed chunks; shows events/s, bytes/s and the time that is left.

    Plain text: it needs no widgets, and an executed notebook keeps it readable. In a
    file or a pipe it is a line now and then, and one at the end.
    """

    def __init__(self, chunks: Sequence[Chunk], *, show: bool) -> None:
        self._left = {chunk.index: chunk.events for chunk in chunks}
        self._bytes = 0
        pace: dict[str, Any] = {}
        self._lines = show and not _is_watched()
        if self._lines:
            pace = {"file": _Lines(), "mininterval": _PAUSE_S, "delay": _PAUSE_S}
        self._bar = tqdm(
            **pace,
            total=sum(self._left.values()),
            unit=" events",
            unit_scale=True,
            disable=not show,
            leave=not self._lines,
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
        if self._lines:
            sys.stderr.write(f"{self._bar}\n")

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


def _is_watched() -> bool:
    """Whether what is drawn over itself is seen so: in a terminal or a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")


class _Lines(io.StringIO):
    """Writes each drawing of a bar as a line of its own."""

    def write(self, text: str) -> int:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")
        return len(text)
