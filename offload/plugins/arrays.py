"""Which pods go to the scheduler together, and how many at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from offload.plugins.records import Record, Stage

GATHER_S = 1.0
"""How long an array waits for the next pod of its group."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the scheduler takes."""

    array: int
    """Elements of one array."""
    jobs: int | None
    """Jobs, beyond those there are; ``None``: no limit is known."""


def batches(
    records: Iterable[Record], room: Room, now: float
) -> tuple[list[tuple[Record, ...]], float | None]:
    """Return the pods to submit now, in batches, oldest first.

    Pods of one group with equal options form an array, cut to what the scheduler
    takes. A group that is still arriving is waited for, not longer than
    :data:`GATHER_S` after its last pod.

    Returns:
        The batches, and when to look again if something is waited for.
    """
    ready = [
        record
        for record in records
        if record.stage is Stage.ACCEPTED
        and not record.is_unwanted
        and record.retry_at <= now
    ]
    ready.sort(key=_key)
    found: list[tuple[Record, ...]] = []
    look_again: float | None = None
    for _, members in groupby(ready, key=_key_of_array):
        pods = list(members)
        until = _gathered_at(pods)
        if until > now:
            look_again = until if look_again is None else min(until, look_again)
            continue
        size = max(1, room.array)
        found += [tuple(pods[i : i + size]) for i in range(0, len(pods), size)]
    found.sort(key=lambda pods: pods[0].accepted_at)
    return _cut(found, room.jobs), look_again


def _cut(found: list[tuple[Record, ...]], jobs: int | None) -> list[tuple[Record, ...]]:
    if jobs is None:
        return found
    kept = []
    for pods in found:
        some = pods[: max(0, jobs)]
        if some:
            kept.append(some)
        jobs -= len(some)
    return kept


def _key(record: Record) -> tuple[str, tuple[str, ...], int, str]:
    return (*_key_of_array(record), record.index, record.uid)


def _key_of_array(record: Record) -> tuple[str, tuple[str, ...]]:
    return record.group or record.uid, record.options


def _gathered_at(pods: Sequence[Record]) -> float:
    if len(pods) >= pods[0].group_size or any(pod.refusals for pod in pods):
        return 0.0
    return max(pod.accepted_at for pod in pods) + GATHER_S
