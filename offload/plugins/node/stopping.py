"""Why and when a pod is told to end, and how long its processes then have.

Pure: what the files, the signals and the clock say comes in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

CANCELLED, DEADLINE, TERMINATED = "Cancelled", "DeadlineExceeded", "Terminated"
_NEAR_THE_END_S = 90.0
"""A signal this long before the allocation ends is the one that announces the end."""
_RESERVE_S = 10.0
"""Kept, of the time that is left, for packing the outputs."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The pod is to end."""

    reason: str
    """``Cancelled``, ``DeadlineExceeded``, or ``Terminated``: the scheduler asked, and
    only the scheduler knows why."""
    message: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What may end a pod."""

    now: float
    began: float
    deadline_s: float | None
    is_cancelled: bool
    signal_name: str | None
    allocation_end: float | None
    """When the scheduler ends the allocation, if it says so (``SLURM_JOB_END_TIME``)."""


def why_stop(situation: Situation) -> Stop | None:
    """Return why the pod is to end now, if it is."""
    if situation.is_cancelled:
        return Stop(CANCELLED, "it was cancelled")
    age = situation.now - situation.began
    if situation.deadline_s is not None and age >= situation.deadline_s:
        return Stop(
            DEADLINE, f"it ran longer than the {situation.deadline_s:g} s asked for"
        )
    if situation.signal_name is None:
        return None
    end = situation.allocation_end
    if end is not None and end - situation.now <= _NEAR_THE_END_S:
        return Stop(DEADLINE, "the time of its allocation is over")
    return Stop(TERMINATED, f"the scheduler asked it to end ({situation.signal_name})")


def grace(
    wanted_s: float, *, now: float, allocation_end: float | None, kill_wait_s: float
) -> float:
    """Return how long processes have between SIGTERM and SIGKILL, in seconds.

    Not more than the pod wants, and what the scheduler leaves less what packing needs.
    """
    left = kill_wait_s
    if allocation_end is not None and allocation_end > now:
        left = max(left, allocation_end - now)
    reserve = min(_RESERVE_S, left / 2)
    return max(0.0, min(wanted_s, left - reserve))


def restart_delay(restarts: int, first_s: float) -> float:
    """Return how long to wait before the next run: doubled each time, to 300 s.

    Source: Kubernetes documentation, "Container restart policy" (10 s, 20 s, 40 s ...).
    """
    return float(min(first_s * 2 ** min(restarts, 30), 300.0))


def must_restart(policy: str, code: int, *, is_init: bool) -> bool:
    """Whether a container that has ended runs again (``restartPolicy``)."""
    match policy:
        case "Never":
            return False
        case "OnFailure":
            return code != 0
        case _:
            return code != 0 or not is_init
