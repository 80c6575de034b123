"""Times and sizes as people type them behind an option."""

from __future__ import annotations

from facility.errors import UsageError


def seconds_of(option: str, text: str | None) -> float | None:
    """Return the seconds of ``30m`` and the like; ``None`` for nothing.

    Raises:
        UsageError: it is no time; one line names the option.
    """
    if text is None:
        return None
    from facility.spec.units import parse_seconds

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def bytes_of(option: str, text: str | None) -> int | None:
    """Return the bytes of ``2G`` and the like; ``None`` for nothing.

    Raises:
        UsageError: it is no size; one line names the option.
    """
    if text is None:
        return None
    from facility.spec.units import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
