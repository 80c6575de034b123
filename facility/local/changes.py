"""Which keys of ``facility.yaml`` differ from those of the running facility."""

from __future__ import annotations

from collections.abc import Iterator

from facility.spec import Facility


def changed_keys(running: Facility, wanted: Facility) -> list[str]:
    """Return dotted keys such as ``hub.port``; lists and tables of names count whole."""
    return list(_differences(running.model_dump(), wanted.model_dump(), ""))


def _differences(
    one: dict[str, object], other: dict[str, object], prefix: str
) -> Iterator[str]:
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
