"""Which links of an index are followed: none leads from outside to what lies inside.

Files of an index may lie on other hosts (PEP 503, PEP 691), and its pages may say
anything. Who is asked by a page must not be a service of this machine or this network
that would not be asked from outside.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from urllib.parse import SplitResult, urlsplit

Addresses = Callable[[str], Collection[str]]
"""Returns the addresses of a host; none if they are not known here."""
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = [
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
]
"""Whose last four bytes are the address that is meant (RFC 6052, RFC 2765, RFC 4291)."""


def addresses_of(host: str) -> Collection[str]:
    """Return the addresses of a host; none where only a proxy knows them."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return {str(each[4][0]) for each in found}


def may_follow(url: str, index: str, addresses: Addresses) -> bool:
    """Whether a link may be followed that an index has, or leads to.

    The index itself may be asked for anything; others by ``https`` and on public
    addresses, unless the index lies inside, too: then whoever runs it runs them.

    Raises:
        ValueError: it is no URL.
    """
    link, own = urlsplit(url), urlsplit(index)
    if link.scheme not in _PORTS or not link.hostname:
        return False
    if _origin(link) == _origin(own):
        return True
    if not _is_public(own.hostname or "", addresses):
        return True
    return link.scheme == "https" and _is_public(link.hostname, addresses)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def _is_public(host: str, addresses: Addresses) -> bool:
    try:
        found: Collection[str] = [str(ipaddress.ip_address(host))]
    except ValueError:
        found = addresses(host)
    return all(_is_global(each) for each in found)


def _is_global(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local:  # given up, and never public
            return False
        # An address of the old kind in the clothes of the new one.
        if any(address in network for network in _TRANSLATED):
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        else:
            address = address.ipv4_mapped or address.sixtofour or address
    return address.is_global and not address.is_multicast
