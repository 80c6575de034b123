"""Notebook servers as processes of this machine, each under its person's own uid."""

from __future__ import annotations

import asyncio
import math
import os
import pwd
import subprocess
import sys
from typing import Any

import psutil
from jupyterhub.spawner import LocalProcessSpawner
from tornado.web import HTTPError
from traitlets import Float, Instance
from traitlets.config import Config

from facility.errors import UsageError
from facility.local.runtime import MARK, Runtime
from facility.spec import Profile
from hub_config.profiles import chosen, options_form, options_from_form
from hub_config.server_log import open_log

_POLL_S = 0.05


class FacilitySpawner(LocalProcessSpawner):  # type: ignore[misc]
    """Starts ``jupyterhub-singleuser`` in the person's home, sized by a profile.

    As root every server runs under the uid of the user it belongs to, who must exist
    on the system; otherwise under our own, and there is one user: ourselves.

    A server outlives the hub. What the hub finds again after a restart is a process id
    together with the time at which that process started, so that an unrelated process
    that got the same id is never taken for the server, nor killed.
    """

    runtime = Instance(Runtime, help="The facility.").tag(config=True)
    started_at = Float(0.0, help="Start time of the process, seconds since the epoch.")

    async def start(self) -> tuple[str, int]:
        """Start the server and return its address once it listens there."""
        profile = self._chosen()
        self.mem_limit = profile.server.memory
        self.cpu_limit = float(profile.server.cores)
        account = self._account()
        self.environment = {
            **self.environment,
            "FACILITY_PROFILE": profile.name,
        }
        self.args = ["--allow-root"] if account.pw_uid == 0 else []
        with open_log(self.runtime, self.user.name) as log:
            self.popen_kwargs = {
                "stdin": subprocess.DEVNULL,
                "stdout": log,
                "stderr": subprocess.STDOUT,
                # The hub's own is 077, which a person does not expect in his home.
                "umask": 0o022,
            }
            address: tuple[str, int] = await super().start()
        self.started_at = psutil.Process(self.pid).create_time()
        await self._listening(*address)
        return address

    async def poll(self) -> int | None:
        if self.proc is None and self.pid and not self._is_ours():
            self.clear_state()
            return 0
        status: int | None = await super().poll()
        return status

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "started_at": self.started_at}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.started_at = float(state.get("started_at", 0.0))

    def make_preexec_fn(self, name: str) -> Any:
        if os.getuid() == 0:
            return super().make_preexec_fn(name)
        home = self._account().pw_dir
        return lambda: os.chdir(home)

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        account = self._account()
        shell = account.pw_shell or "/bin/sh"
        return {
            **env,
            "USER": account.pw_name,
            "HOME": account.pw_dir,
            "SHELL": shell,
        }

    def _account(self) -> pwd.struct_passwd:
        """Return the system user whose uid the server gets."""
        if os.getuid() != 0:
            return pwd.getpwuid(os.getuid())
        try:
            return pwd.getpwnam(self.user.name)
        except KeyError:
            raise HTTPError(
                400, f"No user {self.user.name!r} on this system: create the account."
            ) from None

    def _chosen(self) -> Profile:
        try:
            return chosen(self.runtime.spec, self.user.name, self.user_options)
        except UsageError as error:
            raise HTTPError(400, str(error)) from None

    def _is_ours(self) -> bool:
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started_at) < 1.0
        except psutil.NoSuchProcess:
            return False

    async def _listening(self, host: str, port: int) -> None:
        """Wait for the server's socket, or for its end.

        The hub asks at growing intervals of up to 5 s; asking often costs nothing here
        and the person gets his notebook seconds earlier.
        """
        while await self.poll() is None:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                return
        raise HTTPError(
            500,
            f"The notebook server of {self.user.name!r} ended at once: see its log.",
        )


def settings(runtime: Runtime) -> Config:
    """Return the spawner's part of the hub's configuration."""
    config = Config()
    config.JupyterHub.spawner_class = FacilitySpawner
    config.FacilitySpawner.runtime = runtime
    config.Spawner.cmd = [sys.executable, "-m", "hub_config.singleuser"]
    config.Spawner.default_url = "/lab"
    config.Spawner.environment = environment(runtime)
    config.Spawner.start_timeout = math.ceil(runtime.spec.hub.start_timeout)
    config.Spawner.options_form = lambda spawner: options_form(
        runtime.spec.profiles_of(spawner.user.name)
    )
    config.Spawner.options_from_form = options_from_form
    # A server's death is noticed within this time (the stock hub asks every 30 s).
    config.Spawner.poll_interval = 5
    config.LocalProcessSpawner.interrupt_timeout = 5
    config.LocalProcessSpawner.term_timeout = 5
    return config


def environment(runtime: Runtime) -> dict[str, str]:
    """Return what every notebook server finds in its environment. Nothing secret."""
    return {
        MARK: runtime.id,
        "DASK_GATEWAY__ADDRESS": runtime.gateway_url,
        "DASK_GATEWAY__PUBLIC_ADDRESS": runtime.gateway_prefix,
        "DASK_GATEWAY__PROXY_ADDRESS": runtime.gateway_tls_url,
        "DASK_GATEWAY__AUTH__TYPE": "facility.client.gateway_auth.HubAuth",
        "DASK_LABEXTENSION__FACTORY__MODULE": "dask_gateway",
        "DASK_LABEXTENSION__FACTORY__CLASS": "GatewayCluster",
    }
