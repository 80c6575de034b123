"""Whether an agent is there already, and whether one is needed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager

from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings


class RunsAlreadyError(Exception):
    """Another agent of this person has the lock."""


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the only agent of the person.

    Raises:
        RunsAlreadyError: there is one.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.home / "agent.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunsAlreadyError from None
        yield


def has_open_jobs(settings: Settings) -> bool:
    """Whether an agent would have something to do."""
    with closing(Ledger(settings.ledger)) as ledger:
        return bool(ledger.open_jobs())
