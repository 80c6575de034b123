"""Who asks: the hub knows the token. Remembers for a moment, waits out a restart."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import aiohttp
from aiohttp import web
from dask_gateway_server.auth import JupyterHubAuthenticator
from dask_gateway_server.models import User

REMEMBER_S = 10
"""A token is asked for again after so long: the longest that a revoked one works."""

HUB_RESTART_S = 15
"""For how long a hub that does not answer is asked again."""


class HubAuthenticator(JupyterHubAuthenticator):
    """JupyterHub's authenticator, which survives a restart of the hub."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._known: dict[str, tuple[float, User]] = {}

    async def authenticate(self, request: web.Request) -> User:
        """Return the user of the request's token.

        Raises:
            aiohttp.web.HTTPUnauthorized: there is no token, or the hub refuses it.
            aiohttp.web.HTTPServiceUnavailable: the hub does not answer.
        """
        token = self.get_token(request) or ""
        key = hashlib.sha256(token.encode()).hexdigest()
        now = time.monotonic()
        self._known = {k: v for k, v in self._known.items() if v[0] > now}
        if key in self._known:
            return self._known[key][1]
        while True:
            try:
                user = await super().authenticate(request)
            except (aiohttp.ClientConnectionError, web.HTTPBadGateway) as error:
                if time.monotonic() > now + HUB_RESTART_S:
                    raise web.HTTPServiceUnavailable(
                        reason="JupyterHub does not answer; try again in a minute"
                    ) from error
                await asyncio.sleep(0.5)
            else:
                self._known[key] = (time.monotonic() + REMEMBER_S, user)
                return user
