"""What a person sees while files are frozen and a job is on its way."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from facility.text import counted

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from offload.jobs.model import Job
    from offload.snapshot import Progress

PATIENCE_S = 0.3
"""What takes no longer needs no bar, and nobody waits for rich to be imported."""


def is_watched() -> bool:
    """Whether a person looks at what is written to stderr."""
    return sys.stderr.isatty()


class _Shown:
    """A bar on stderr, of which nothing is left."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and is_watched()
        self._begin = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _draw(self, what: str, done: float, total: float) -> None:
        is_early = time.monotonic() - self._begin < PATIENCE_S
        if not self._enabled or (self._bar is None and is_early):
            return
        if self._bar is None:
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(what, total=None)
            self._bar.start()
        assert self._task is not None
        self._bar.update(
            self._task, description=what, completed=done, total=total or None
        )


class FreezeProgress(_Shown):
    """Takes what :func:`offload.snapshot.freeze` reports."""

    def show(self, progress: Progress) -> None:
        count = counted(progress.files_total or progress.files, "file")
        if progress.files_total:
            count = f"{progress.files:,} of {count}"
        words = f"{progress.stage} ({count})"
        self._draw(words, progress.size, progress.size_total)


class PublishingProgress(_Shown):
    """Takes how many bytes of an image a publisher has fetched."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__(enabled=enabled)
        self._last = 0, 0

    def show(self, done: int, total: int) -> None:
        if total:  # nobody says any more once all is here and is being published
            self._last = done, total
        done, total = self._last
        words = "publishing" if total else "waiting"
        self._draw(f"{words}...", done, total)


class JobProgress(_Shown):
    """Takes the states of a job: one line when a stage is reached, a bar between."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__(enabled=enabled)
        self._says = enabled
        self._told: set[str] = set()
        self._waiting = ""

    def show(self, job: Job) -> None:
        from facility.cli.job_lines import stage_lines, waiting_line

        for stage, line in stage_lines(job):
            if stage not in self._told:
                self._told.add(stage)
                self._say(line)
        if job.progress is not None and not job.is_done:
            self._draw(f"{job.stage}...", job.progress.done, job.progress.total)
        waiting = waiting_line(job, time.time())
        if waiting and waiting != self._waiting:
            self._say(waiting)
        self._waiting = waiting

    def _say(self, line: str) -> None:
        self.clear()
        if self._says:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
