"""Does a request come from this very machine?"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address


def is_loopback(address: str) -> bool:
    """Say whether the text is a loopback address; anything else is not."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    # Python before 3.13 does not look inside ::ffff:127.0.0.1.
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


def came_from_here(peer: str | None, forwarded: Iterable[str]) -> bool:
    """Say whether the peer and every hop that a proxy wrote down are loopback.

    Args:
        peer: address of the connection's other end.
        forwarded: values of ``X-Forwarded-For``, ``X-Real-Ip`` and the like. A client
            can add hops but cannot remove the one that our own proxy appends, so one
            strange address anywhere is enough to say no.
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    return all(is_loopback(address) for address in (peer or "", *filter(None, hops)))
