"""Quantities as people write them: ``2 GiB`` is bytes, ``30 min`` is seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    SerializationInfo,
    WithJsonSchema,
)

_NUMBER = re.compile(r"\s*(?P<number>\d{1,30}(?:\.\d{1,30})?)\s*(?P<unit>[A-Za-z]*)\s*")

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
_MOST_BYTES = 2**60
_MOST_SECONDS = 100 * 366 * 86400

READABLE = "readable"
"""Key of the serialization context: if true, quantities are written with units."""


def _parse(value: object, units: dict[str, int], most: int, expected: str) -> float:
    number = math.nan
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        factor = units.get(match["unit"].lower()) if match else None
        if match is not None and factor is not None:
            # Whole numbers stay exact: floats would lose bytes above 2**53.
            digits = match["number"]
            number = (float(digits) if "." in digits else int(digits)) * factor
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    if not 0 <= number <= most:  # false for NaN too
        shown = repr(value)
        if len(shown) > 40:
            shown = f"{shown[:37]}..."
        raise ValueError(f"expected {expected}, got {shown}")
    return number


def parse_bytes(value: object) -> int:
    """Turn ``"2 GiB"`` or a number into bytes, at most 1 EiB.

    ``K M G T`` and ``KiB ...`` are powers of 1024, ``kB MB GB TB`` powers of 1000.
    Fractions of a byte are cut off.

    Raises:
        ValueError: it is no such size.
    """
    return int(_parse(value, _BYTES, _MOST_BYTES, "a size such as '2 GiB'"))


def parse_seconds(value: object) -> float:
    """Turn ``"30 min"`` or a number into seconds, at most a century.

    Anything finer than a nanosecond is rounded off.

    Raises:
        ValueError: it is no such duration.
    """
    number = _parse(value, _SECONDS, _MOST_SECONDS, "a duration such as '30 min'")
    return round(float(number), 9) + 0.0  # no -0.0


def format_bytes(count: float) -> str:
    """Write a size the way people read it: ``2 GiB``, ``1.5 MiB``, ``17 B``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


def write_bytes(count: int) -> str:
    """Write a size so that :func:`parse_bytes` reads exactly the same."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        factor = _BYTES[unit.lower()]
        if count and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} B"


def write_seconds(duration_s: float) -> str:
    """Write a duration so that :func:`parse_seconds` reads the same nanoseconds."""
    for unit in ("d", "h", "min"):
        factor = _SECONDS[unit]
        if duration_s and duration_s % factor == 0:
            return f"{int(duration_s // factor)} {unit}"
    # Fixed point: nobody writes an exponent, and the parser refuses it.
    return f"{f'{duration_s:.9f}'.rstrip('0').rstrip('.')} s"


def _serialize_bytes(count: int, info: SerializationInfo) -> int | str:
    return write_bytes(count) if (info.context or {}).get(READABLE) else count


def _serialize_seconds(duration_s: float, info: SerializationInfo) -> float | str:
    return (
        write_seconds(duration_s)
        if (info.context or {}).get(READABLE)
        else (duration_s)
    )


def _either(numbers: str, most: int, units: dict[str, int], example: str) -> object:
    spelled = "|".join(
        "".join(f"[{c}{c.upper()}]" for c in unit) for unit in units if unit
    )
    return {
        "anyOf": [
            {"type": numbers, "minimum": 0, "maximum": most},
            {
                "type": "string",
                "pattern": rf"^\s*\d+(\.\d+)?\s*({spelled})?\s*$",
            },
        ],
        "examples": [example],
    }


ByteSize = Annotated[
    int,
    BeforeValidator(parse_bytes),
    PlainSerializer(_serialize_bytes, return_type=int | str, when_used="json"),
    WithJsonSchema(_either("number", _MOST_BYTES, _BYTES, "2 GiB")),
]
"""A size in bytes; in the file ``2 GiB`` or a plain number."""

Seconds = Annotated[
    float,
    BeforeValidator(parse_seconds),
    PlainSerializer(_serialize_seconds, return_type=float | str, when_used="json"),
    WithJsonSchema(_either("number", _MOST_SECONDS, _SECONDS, "30 min")),
]
"""A duration in seconds; in the file ``30 min`` or a plain number."""
