"""A bar on a terminal while a tree is fetched."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from offload.cache.errors import CacheError

_EVERY_S = 0.2


@contextmanager
def progress(
    what: str, done: Callable[[], int], total: Callable[[], int]
) -> Iterator[None]:
    """Show how many bytes have come, on standard error, if that is a terminal.

    Args:
        what: is being done.
        done: returns bytes.
        total: returns bytes at most: what is here already does not come.
    """
    if not sys.stderr.isatty():
        yield
        return
    # Late: nobody sees it where programs run this.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        ended = threading.Event()

        def follow() -> None:
            with suppress(CacheError):  # nobody answers: it may be here nevertheless
                bar.update(task, total=total())
            while not ended.wait(_EVERY_S):
                bar.update(task, completed=done())

        following = threading.Thread(target=follow)
        following.start()
        try:
            yield
        finally:
            ended.set()
            following.join()
