"""Quantities as people write them: ``2 GiB`` is bytes, ``30 min`` is seconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_NUMBER = re.compile(r"^\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)\s*$")

_BYTES = {
    "": 1, "b": 1,
    "k": 2**10, "kib": 2**10, "kb": 10**3,
    "m": 2**20, "mib": 2**20, "mb": 10**6,
    "g": 2**30, "gib": 2**30, "gb": 10**9,
    "t": 2**40, "tib": 2**40, "tb": 10**12,
}  # fmt: skip
_SECONDS = {
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip


def _parse(value: object, units: dict[str, int], kind: str, example: str) -> object:
    if not isinstance(value, str):
        return value
    match = _NUMBER.match(value)
    factor = units.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"expected {kind} such as {example!r}, got {value!r}")
    return float(match["number"]) * factor


def parse_bytes(value: object) -> object:
    """Turn ``"2 GiB"`` into ``2147483648``; other types pass unchanged.

    ``K M G T`` and ``KiB ...`` are powers of 1024, ``kB MB GB TB`` powers of 1000.
    """
    parsed = _parse(value, _BYTES, "a size", "2 GiB")
    return int(parsed) if isinstance(parsed, float) else parsed


def parse_seconds(value: object) -> object:
    """Turn ``"30 min"`` into ``1800.0``; other types pass unchanged."""
    return _parse(value, _SECONDS, "a duration", "30 min")


def format_bytes(count: float) -> str:
    """Write a size the way people read it: ``2 GiB``, ``1.5 MiB``, ``17 B``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


ByteSize = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
"""A size in bytes; in the file ``2 GiB`` or a plain number."""

Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0)]
"""A duration in seconds; in the file ``30 min`` or a plain number."""
