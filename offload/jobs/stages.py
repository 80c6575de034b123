"""How far a job is, and how it ended."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The way of a job, in this order; each stage is entered once it is reached.

    Only ``RUNNING`` may fall back to ``QUEUED``: a batch system that requeues a job
    runs it again under the same name.
    """

    FROZEN = "frozen"
    """Files and environment are in the person's own store, the job in his ledger."""
    STORED = "stored"
    """The snapshot is in the facility's store."""
    PLACED = "placed"
    """A site is chosen."""
    TRANSFERRED = "transferred"
    """The site has every byte of the snapshot."""
    QUEUED = "queued"
    """The site has accepted the job."""
    RUNNING = "running"
    RETURNING = "returning"
    """It has ended there; outputs and logs come back."""
    DONE = "done"
    """Everything that will ever come back is in place."""

    @property
    def is_at_site(self) -> bool:
        """Whether the site may hold something of the job that is not home yet."""
        return self in {Stage.QUEUED, Stage.RUNNING, Stage.RETURNING}


ORDER = tuple(Stage)
"""Every stage, first to last."""

BEFORE_SITE = (Stage.FROZEN, Stage.STORED, Stage.PLACED, Stage.TRANSFERRED)
"""Those of a job that no site has accepted."""


class Outcome(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The program's exit code is not 0."""
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    PREEMPTED = "preempted"
    """The site took the resources back for somebody else and did not requeue it."""
    NODE_FAILED = "node_failed"
    """The machine under it broke or did not come up."""
    REFUSED = "refused"
    """The site did not take it; the message says why."""
    LOST = "lost"
    """The site had accepted it and does not know it any more."""
