"""Our own processes are reached directly, even where the network has a proxy."""

from __future__ import annotations

from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def direct(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Return ``no_proxy`` and ``NO_PROXY``: as set, the loopback and ``hosts`` added.

    Most clients would otherwise ask the proxy of ``http_proxy`` for 127.0.0.1.
    """
    said = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    known = [one.strip() for one in said.split(",") if one.strip()]
    if "*" not in known:
        known += [one for one in (*LOOPBACK, *hosts) if one not in known]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(known))
