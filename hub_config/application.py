"""JupyterHub with errands of its own: routes, idle servers and lost servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jupyterhub.app import JupyterHub
from jupyterhub_idle_culler import cull_idle
from tornado.ioloop import PeriodicCallback
from traitlets import Float, Instance, Unicode

from facility.process import end
from facility.runtime import Runtime
from hub_config.log_scrubbing import scrub_record
from hub_config.lost_servers import lost_servers

_ROUTES_INTERVAL_S = 1.0
_CULLS_PER_TIMEOUT = 10
_LONGEST_CULL_INTERVAL_S = 600.0
_END_GRACE_S = 5.0


class FacilityHub(JupyterHub):
    """The stock hub; what it adds starts after the hub is ready, so costs no start-up.

    Idle servers are stopped from within: as a process of its own the culler would cost
    a second of start-up and 70 MB, and stay behind when the hub is killed.
    """

    runtime = Instance(Runtime, help="The facility.").tag(config=True)
    idle_timeout_s = Float(
        0.0, help="A server unused for so long is stopped; 0 never."
    ).tag(config=True)
    culler_token = Unicode(help="API token of the culler.").tag(config=True)

    def init_logging(self) -> None:
        super().init_logging()
        for handler in self.log.handlers:
            handler.addFilter(scrub_record)

    async def start(self) -> None:
        await super().start()
        self._ending = asyncio.create_task(self._end_lost_servers())
        self._errand("routes", self._restore_routes, _ROUTES_INTERVAL_S)
        if self.idle_timeout_s:
            interval_s = self.idle_timeout_s / _CULLS_PER_TIMEOUT
            self._errand(
                "culler", self._cull_idle, min(interval_s, _LONGEST_CULL_INTERVAL_S)
            )

    def _errand(
        self, name: str, do: Callable[[], Awaitable[None]], interval_s: float
    ) -> None:
        errand = PeriodicCallback(do, 1000 * interval_s)
        self._periodic_callbacks[name] = errand
        errand.start()

    async def _end_lost_servers(self) -> None:
        known = {
            spawner.pid
            for user in self.users.values()
            for spawner in user.spawners.values()
        }
        for process in lost_servers(self.runtime.id, known):
            self.log.warning("Ending a server nobody knows: pid %d", process.pid)
            await end(process, grace_s=_END_GRACE_S)

    async def _restore_routes(self) -> None:
        """Give a proxy that was restarted its routes back.

        The stock hub compares them every five minutes, until when nobody reaches his
        server.
        """
        try:
            routes = await self.proxy.get_all_routes()
        except TimeoutError:
            self.log.warning("The proxy is away; its routes wait for it")
            return
        if self.hub.routespec not in routes:
            await self.proxy.check_routes(self.users, self._service_map, routes)

    async def _cull_idle(self) -> None:
        await cull_idle(
            url=self.hub.api_url,
            api_token=self.culler_token,
            inactive_limit=self.idle_timeout_s,
            logger=self.log,
        )
