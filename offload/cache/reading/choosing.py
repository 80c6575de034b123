"""Whole tree or lazily: whichever is ready sooner, told before either begins. Pure.

A tree is fetched by many connections at once, but all of it; lazily only what is read
travels, but one file after the other, each after a round trip, and every file that is
opened goes through this process. With a bundle, what was read before comes in few
files at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from offload.cache.reading.pace import Pace

USUAL_SHARE = 0.3
"""Of an image's bytes and files, taken for what a job reads of one never read before."""
_FETCH_S = 0.9e-3
"""Processor time to request, verify, decompress and store one object."""
_LINK_S = 0.15e-3
"""To put one file of a tree in place."""
_OPEN_S = 0.6e-3
"""To look up, open and read one small file through a mount, more than from a tree."""
_MOUNT_S = 0.15
_INFLATE = 250e6
"""Bytes per second that are decompressed and verified."""
_UNPACK = 500e6
"""The same in a bundle, whose parts are neither many nor stored."""
_TRIPS = 2
"""One after the other: the catalogue of a bundle, and its parts at once."""


class Way(StrEnum):
    """How an image is made ready."""

    WHOLE = "whole"
    LAZY = "lazy"


@dataclass(frozen=True, slots=True)
class Amount:
    """Files and their bytes of content."""

    files: int
    size: int

    def share(self, part: float) -> Amount:
        return Amount(round(self.files * part), round(self.size * part))


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known before a job starts."""

    image: Amount
    """All of it."""
    missing: Amount
    """What of it is not here yet."""
    read_before: Amount | None
    """What jobs read of it, if any was watched."""
    pace: Pace
    connections: int
    has_bundle: bool
    """Whether what was read before can be had in one go."""
    can_mount: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The way, and the seconds that either would take."""

    way: Way
    whole_s: float
    lazy_s: float


KEPT = Choice(Way.WHOLE, 0.0, _MOUNT_S)
"""For an image whose tree is here: nobody need be asked how much of it there is."""


def choose(at: Situation) -> Choice:
    """Return which way a job has read what it needs sooner."""
    read = at.read_before or at.image.share(USUAL_SHARE)
    cold = at.missing.size / at.image.size if at.image.size else 0.0
    whole = _whole_s(at)
    lazy = _lazy_s(at, read, read.share(cold))
    is_lazy = at.can_mount and lazy < whole
    return Choice(Way.LAZY if is_lazy else Way.WHOLE, whole, lazy)


def _whole_s(at: Situation) -> float:
    waiting = at.missing.files * at.pace.delay_s / at.connections
    wire = at.missing.size / at.pace.rate / at.connections
    work = at.missing.files * _FETCH_S + at.missing.size / _INFLATE
    return max(waiting + wire, work) + at.image.files * _LINK_S


def _lazy_s(at: Situation, read: Amount, missing: Amount) -> float:
    if at.has_bundle and at.read_before is not None:
        wire = _TRIPS * at.pace.delay_s + missing.size / at.pace.rate / at.connections
        fetching = max(wire, missing.size / _UNPACK)
    else:
        wire = missing.files * at.pace.delay_s + missing.size / at.pace.rate
        fetching = wire + missing.size / _INFLATE + missing.files * _FETCH_S
    return _MOUNT_S + fetching + read.files * _OPEN_S
