"""What changes an execution, as data."""

from __future__ import annotations

from dataclasses import dataclass

from offload.jobs.stages import Outcome, Stage


@dataclass(frozen=True, slots=True)
class Observed:
    """What a site said of one execution."""

    stage: Stage
    """``QUEUED``, ``RUNNING``, or ``RETURNING`` once it has ended."""
    site_id: str = ""
    message: str = ""
    outcome: Outcome | None = None
    """Set exactly with ``RETURNING``."""
    exit_code: int | None = None
    started: float | None = None
    finished: float | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The site does not know an execution, or not any more, that it had accepted.

    What that means depends on whether it was cancelled, which only the ledger knows:
    a person may cancel while a site is listened to.
    """
