"""Whether this node has a way to the repository: asked briefly, before a job waits for it.

What reads the repository is patient, and holds locks that the plugin needs for the same
files: it is to begin only where somebody answers.
"""

from __future__ import annotations

import ssl
import time
from functools import cache

import httpx

from facility.text import reason
from offload.cache.cvmfs.manifest import FILE_NAME
from offload.cache.reading.settings import DIRECT, RepositorySettings

_REFUSED = {httpx.codes.FORBIDDEN, httpx.codes.PROXY_AUTHENTICATION_REQUIRED}
"""A squid that is not for this node. Other errors say something of the repository."""


def why_unreachable(settings: RepositorySettings, patience_s: float = 3.0) -> str:
    """Ask for the repository by one route after the other, until somebody answers.

    Args:
        settings: the routes.
        patience_s: to connect to one, and as long for its answer; all together have
            twice that, of which each has its share.

    Returns:
        why nobody answers, in one line that names the last route; empty if one does.
    """
    problem = ""
    until = time.monotonic() + 2 * patience_s
    routes = [(proxy, url) for proxy in settings.proxies for url in settings.urls]
    for left, (proxy, url) in zip(range(len(routes), 0, -1), routes, strict=True):
        share_s = max(patience_s / 10, (until - time.monotonic()) / left)
        route = url if proxy == DIRECT else f"{url} through {proxy}"
        try:
            status = httpx.head(
                f"{url}/{FILE_NAME}",
                proxy=None if proxy == DIRECT else proxy,
                timeout=min(patience_s, share_s),
                trust_env=False,
                verify=_context(),
            ).status_code
        except httpx.TransportError as error:
            problem = f"{route}: {reason(error)}"
        else:
            if status not in _REFUSED:
                return ""
            problem = f"{route}: answers {status} to this node"
    return problem


@cache
def _context() -> ssl.SSLContext:
    """Certificates take longer to read than an answer to come."""
    return ssl.create_default_context()
