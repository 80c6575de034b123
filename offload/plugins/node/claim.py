"""Which allocation runs the pod: one, whatever was submitted twice."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from offload.plugins.node.folder import (
    PodFolder,
    read_json,
    write_json,
    write_json_once,
)
from offload.plugins.node.shim import boot_id


@dataclass(frozen=True, slots=True)
class Claim:
    """One allocation's right to the pod."""

    allocation: str
    """Slurm's job id (of an array's element, its own); else this boot's name."""
    attempt: int
    """How often Slurm put the job back into its queue."""
    began: float
    """When the attempt began: Unix time, of this node's clock."""
    node: str

    def to_json(self) -> dict[str, object]:
        return {
            "allocation": self.allocation,
            "attempt": self.attempt,
            "began": self.began,
            "node": self.node,
        }

    def is_same(self, other: Claim) -> bool:
        """Whether two wrappers belong to one attempt."""
        return (self.allocation, self.attempt) == (other.allocation, other.attempt)


class Claimed(Enum):
    """What became of the wish to run a pod."""

    FIRST = auto()
    AGAIN = auto()
    """It was ours already: a wrapper was killed and started again."""
    REQUEUED = auto()
    """Slurm put the same job back: a new attempt, after what the last one left."""
    TAKEN = auto()
    """It is somebody else's."""


def this_allocation(environment: Mapping[str, str]) -> Claim:
    """Name the allocation that this process runs in."""
    job = environment.get("SLURM_JOB_ID")
    return Claim(
        allocation=f"slurm:{job}" if job else f"boot:{boot_id()}",
        attempt=int(environment.get("SLURM_RESTART_COUNT") or 0) if job else 0,
        began=time.time(),
        node=environment.get("SLURMD_NODENAME") or os.uname().nodename,
    )


def read_claim(folder: PodFolder) -> Claim | None:
    """Return who has the pod."""
    match read_json(folder.claim):
        case {
            "allocation": str(allocation),
            "attempt": int(attempt),
            "began": int() | float() as began,
            "node": str(node),
        }:
            return Claim(allocation, attempt, began, node)
        case _:
            return None


def decide(ours: Claim, theirs: Claim) -> Claimed:
    """Say what a claim that is there already means for ours."""
    if ours.is_same(theirs):
        return Claimed.AGAIN
    if ours.allocation == theirs.allocation and ours.attempt > theirs.attempt:
        return Claimed.REQUEUED
    return Claimed.TAKEN


def take(folder: PodFolder, ours: Claim) -> tuple[Claim, Claimed]:
    """Claim the pod; return the claim that holds now, and what it means for us.

    Of several allocations, on any machines, one gets it. A requeued job may replace
    its own claim: Slurm runs one attempt of a job at a time, and one that lives on a
    node that Slurm had given up sees that the claim is not its own any more.
    """
    if write_json_once(folder.claim, ours.to_json()):
        return ours, Claimed.FIRST
    theirs = read_claim(folder)
    if theirs is None:
        return ours, Claimed.TAKEN
    outcome = decide(ours, theirs)
    if outcome is Claimed.REQUEUED:
        write_json(folder.claim, ours.to_json())
        return ours, outcome
    return theirs, outcome


def lock(path: Path) -> int | None:
    """Be the one wrapper of this allocation, until this process ends.

    Returns:
        A descriptor to keep; ``None`` if another wrapper is at work.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        # No locks on this file system: the batch script starts one after the other.
        return handle
    return handle
