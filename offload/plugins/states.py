"""What every state of Slurm means for a pod: the one table.

Source: Slurm's squeue(1) and sacct(1), "JOB STATE CODES", 22.05 and later. A state that
the table lacks counts as running, with its name in words: a job is not given up because
a scheduler learned a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from offload.interlink.status import Phase, Reason


class Life(StrEnum):
    """Where in its life a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state says about a pod."""

    life: Life
    phase: Phase
    """Of the pod, unless its containers have said how they ended."""
    reason: Reason | None
    """For containers that wait or have ended; what runs has none."""
    words: str


def _waits(reason: Reason, words: str) -> Meaning:
    return Meaning(Life.WAITING, Phase.PENDING, reason, words)


def _runs(words: str) -> Meaning:
    return Meaning(Life.RUNNING, Phase.RUNNING, None, words)


def _ended(reason: Reason, words: str) -> Meaning:
    is_success = reason is Reason.COMPLETED
    phase = Phase.SUCCEEDED if is_success else Phase.FAILED
    return Meaning(Life.ENDED, phase, reason, words)


STATES: dict[str, Meaning] = {
    "BOOT_FAIL": _ended(Reason.BOOT_FAIL, "its nodes could not be started"),
    "CANCELLED": _ended(Reason.CANCELLED, "it was cancelled"),
    "COMPLETED": _ended(Reason.COMPLETED, "it has ended"),
    "COMPLETING": _runs("it is being cleaned up"),
    "CONFIGURING": _waits(Reason.CONFIGURING, "its nodes are being made ready"),
    "DEADLINE": _ended(Reason.DEADLINE_EXCEEDED, "its deadline has passed"),
    "EXPEDITING": _waits(Reason.REQUEUED, "it is about to start again"),
    "FAILED": _ended(Reason.ERROR, "its batch script failed"),
    "LAUNCH_FAILED": _ended(Reason.BOOT_FAIL, "it could not be launched on its node"),
    "NODE_FAIL": _ended(Reason.NODE_FAIL, "one of its nodes failed"),
    "OUT_OF_MEMORY": _ended(
        Reason.OOM_KILLED, "it needed more memory than it had asked for"
    ),
    "PENDING": _waits(Reason.QUEUED, "it waits in the queue"),
    "POWER_UP_NODE": _waits(Reason.CONFIGURING, "its nodes are being switched on"),
    "PREEMPTED": _ended(Reason.PREEMPTED, "jobs of higher priority took its place"),
    "RECONFIG_FAIL": _ended(Reason.BOOT_FAIL, "its nodes could not be configured"),
    "REQUEUED": _waits(Reason.REQUEUED, "it is being put back into the queue"),
    "REQUEUE_FED": _waits(Reason.REQUEUED, "it is being moved to another cluster"),
    "REQUEUE_HOLD": _waits(
        Reason.HELD, "it was put back and is held; the site has to release it"
    ),
    "RESIZING": _runs("it is about to change its size"),
    "RESV_DEL_HOLD": _waits(
        Reason.HELD, "it is held: its reservation was deleted; the site has to act"
    ),
    "REVOKED": _ended(Reason.CANCELLED, "another cluster of the federation took it"),
    "RUNNING": _runs("it runs"),
    "SIGNALING": _runs("it is being signalled"),
    "SPECIAL_EXIT": _waits(
        Reason.HELD, "it was put back in a special state; the site has to release it"
    ),
    "STAGE_OUT": _runs("its files are being staged out"),
    "STOPPED": _runs("its processes are stopped; it keeps its nodes"),
    "SUSPENDED": _runs("it is suspended; its nodes serve others"),
    "TIMEOUT": _ended(Reason.DEADLINE_EXCEEDED, "it ran longer than its time limit"),
    "UPDATE_DB": _runs("it is being recorded"),
}

CODES: dict[str, str] = {
    "BF": "BOOT_FAIL", "CA": "CANCELLED", "CD": "COMPLETED", "CF": "CONFIGURING",
    "CG": "COMPLETING", "DL": "DEADLINE", "F": "FAILED", "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY", "PD": "PENDING", "PR": "PREEMPTED", "R": "RUNNING",
    "RD": "RESV_DEL_HOLD", "RF": "REQUEUE_FED", "RH": "REQUEUE_HOLD",
    "RQ": "REQUEUED", "RS": "RESIZING", "RV": "REVOKED", "S": "SUSPENDED",
    "SE": "SPECIAL_EXIT", "SI": "SIGNALING", "SO": "STAGE_OUT", "ST": "STOPPED",
    "TO": "TIMEOUT",
}  # fmt: skip
"""Short forms, as some clients print them."""

_PENDING: dict[str, tuple[Reason, str]] = {
    "BadConstraints": (Reason.HELD, "no node has the features that it asks for"),
    "BeginTime": (Reason.QUEUED, "it waits for its start time"),
    "Cleaning": (Reason.REQUEUED, "what is left of its last run is being cleaned up"),
    "Dependency": (Reason.QUEUED, "it waits for another job"),
    "DependencyNeverSatisfied": (
        Reason.HELD, "it waits for a job that will never end as it should",
    ),
    "InactiveLimit": (Reason.HELD, "it has reached the site's limit of inactivity"),
    "InvalidAccount": (Reason.HELD, "its account is not valid"),
    "InvalidQOS": (Reason.HELD, "its quality of service is not valid"),
    "JobArrayTaskLimit": (Reason.QUEUED, "as many of its array run as may"),
    "JobHeldAdmin": (Reason.HELD, "the site's administrator holds it"),
    "JobHeldUser": (Reason.HELD, "it is held by its owner"),
    "JobLaunchFailure": (Reason.HELD, "it could not be launched"),
    "launch failed requeued held": (
        Reason.HELD, "it could not be launched and is held; the site has to act",
    ),
    "Licenses": (Reason.QUEUED, "it waits for a licence"),
    "NodeDown": (Reason.QUEUED, "a node that it needs is down"),
    "None": (Reason.QUEUED, "it has just entered the queue"),
    "PartitionDown": (Reason.QUEUED, "its partition is down"),
    "PartitionInactive": (Reason.QUEUED, "its partition does not start jobs now"),
    "PartitionNodeLimit": (Reason.HELD, "it asks for more nodes than its partition gives"),
    "PartitionTimeLimit": (Reason.HELD, "it asks for more time than its partition gives"),
    "Priority": (Reason.QUEUED, "jobs of higher priority are before it"),
    "Prolog": (Reason.CONFIGURING, "its nodes are being made ready"),
    "ReqNodeNotAvail": (Reason.QUEUED, "nodes that it needs are not available"),
    "Reservation": (Reason.QUEUED, "it waits for its reservation"),
    "Resources": (Reason.QUEUED, "it waits for free resources"),
    "SystemFailure": (Reason.QUEUED, "the site's system failed"),
}  # fmt: skip
_PENDING_PREFIXES: tuple[tuple[str, str], ...] = (
    ("ReqNodeNotAvail", "nodes that it needs are not available"),
    ("QOS", "a limit of its quality of service is reached"),
    ("Assoc", "a limit of its account is reached"),
    ("MaxMem", "it asks for more memory than it may"),
    ("MaxCpu", "it asks for more CPUs than it may"),
    ("Nodes required for job are DOWN", "nodes that it needs are down or reserved"),
)
"""Slurm has dozens of these, one per kind of limit, and adds more."""


def normalise(state: str) -> str:
    """Return a state's long name: of ``CANCELLED by 1000``, ``PD``, ``TIMEOUT+``."""
    word = state.split(maxsplit=1)[0].rstrip("+").upper() if state.strip() else ""
    return CODES.get(word, word)


def meaning(state: str, why: str = "") -> Meaning:
    """Return what a state means.

    Args:
        state: As a client of Slurm prints it, long or short.
        why: Slurm's reason for a job that is pending.
    """
    name = normalise(state)
    if name == "PENDING":
        return _pending(why)
    known = STATES.get(name)
    return known or _runs(f"its state is {name or 'not known'}")


def _pending(why: str) -> Meaning:
    known = _PENDING.get(why)
    if known is not None:
        return _waits(known[0], f"{known[1]} ({why})")
    for prefix, words in _PENDING_PREFIXES:
        if why.startswith(prefix):
            return _waits(Reason.QUEUED, f"{words} ({why})")
    words = STATES["PENDING"].words
    return _waits(Reason.QUEUED, f"{words} ({why})" if why else words)
