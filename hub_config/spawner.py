"""Notebook servers as processes of this machine, each under its person's own uid."""

from __future__ import annotations

import asyncio
import math
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from tornado.web import HTTPError
from traitlets import Instance, default
from traitlets.config import Config

from facility.errors import UsageError
from facility.malloc import MALLOC
from facility.open_places import OFFLOAD
from facility.process import ProcessIdentity, identify, send_signal
from facility.runtime import MARK, Runtime
from hub_config.lost_servers import SERVER_MODULE
from hub_config.profiles import chosen, options_form, options_from_form
from hub_config.server_log import log_path, open_log

_POLL_S = 0.05
_SERVER_ARGS = [
    # Kernels speak over TCP, where other users of the machine could listen in.
    "--KernelManager.transport_encryption=auto",
    f"--LabApp.app_settings_dir={Path(__file__).parent / 'lab_settings'}",
]


_OWNERS_VARIABLES = [
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("PIP_INDEX_URL", "PIP_CERT", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
]
"""How the one person who runs a facility reaches networks and finds his files: so it is
in his notebooks, too. Not with several users: such addresses may hold passwords."""


class ServerRefusedError(HTTPError):
    """A server cannot be started; the person reads the line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(status, line.replace("%", "%%"))
        self.jupyterhub_message = line


class FacilitySpawner(LocalProcessSpawner):
    """Starts ``jupyterhub-singleuser`` in the person's home, sized by a profile.

    As root every server runs under the uid of the user it belongs to, who must exist
    on the system; otherwise under our own, and there is one user: ourselves.

    A server outlives the hub, which finds it again by its process's identity, not by
    its pid alone: a process that got the same pid is never taken for it, nor killed.
    """

    runtime = Instance(Runtime, help="The facility.").tag(config=True)
    identity: ProcessIdentity | None = None

    @default("env_keep")
    def _kept_variables(self) -> list[str]:
        kept: list[str] = super()._env_keep_default()
        return kept if self.runtime.multi_user else [*kept, *_OWNERS_VARIABLES]

    async def start(self) -> tuple[str, int]:
        """Start the server and return its address once it listens there."""
        if self._account().pw_uid == 0:
            self.args = [*_SERVER_ARGS, "--allow-root"]
        with open_log(self.runtime, self.user.name) as log:
            self.popen_kwargs = {
                "stdin": subprocess.DEVNULL,
                "stdout": log,
                "stderr": subprocess.STDOUT,
                # The hub's own is 077, which a person does not expect in his home.
                "umask": 0o022,
            }
            address: tuple[str, int] = await super().start()
        self.identity = identify(self.pid)
        await self._listening(*address)
        return address

    async def poll(self) -> int | None:
        if self.proc is None and not (self.identity and self.identity.is_alive()):
            self.clear_state()
            return 0
        status: int | None = await super().poll()
        return status

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.identity is not None:
            state["process"] = self.identity.to_json()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if "process" in state:
            self.identity = ProcessIdentity.from_json(state["process"])

    def clear_state(self) -> None:
        super().clear_state()
        self.identity = None

    async def _signal(self, sig: signal.Signals) -> bool:
        if self.identity is None or not self.identity.is_alive():
            return False
        send_signal(self.identity, sig)
        return True

    def make_preexec_fn(self, name: str) -> Any:
        if os.getuid() == 0:
            return super().make_preexec_fn(name)
        return lambda: os.chdir(Path.home())

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        account = self._account()
        as_root = os.getuid() == 0
        return {
            **env,
            "USER": account.pw_name,
            "HOME": account.pw_dir if as_root else str(Path.home()),
            "SHELL": account.pw_shell or "/bin/sh",
        }

    def _account(self) -> pwd.struct_passwd:
        """Return the system user whose uid the server gets."""
        if os.getuid() != 0:
            return pwd.getpwuid(os.getuid())
        if self.user.name not in self.runtime.people:
            # An administrator of the hub can make users of any name, root's too.
            raise ServerRefusedError(
                403, f"{self.user.name!r} is not in users of facility.yaml"
            )
        try:
            return pwd.getpwnam(self.user.name)
        except KeyError:
            raise ServerRefusedError(
                400, f"no user {self.user.name!r} on this system: create the account"
            ) from None

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
        raise ServerRefusedError(
            500,
            f"the notebook server of {self.user.name!r} ended at once: see "
            f"{log_path(self.runtime, self.user.name)}",
        )


def apply_profile(spawner: FacilitySpawner, options: dict[str, object]) -> None:
    """Size the server by the profile that the options name."""
    try:
        profile = chosen(spawner.runtime.spec, spawner.user.name, options)
    except UsageError as error:
        raise ServerRefusedError(400, str(error)) from None
    # Shown in the status bar by jupyter-resource-usage.
    spawner.mem_limit = profile.server.memory
    spawner.cpu_limit = float(profile.server.cores)
    spawner.environment = {**spawner.environment, "FACILITY_PROFILE": profile.name}


def settings(runtime: Runtime) -> Config:
    """Return the spawner's part of the hub's configuration."""
    config = Config()
    config.JupyterHub.spawner_class = FacilitySpawner
    config.FacilitySpawner.runtime = runtime
    config.Spawner.cmd = [sys.executable, "-m", SERVER_MODULE]
    config.Spawner.default_url = "/lab"
    config.Spawner.environment = environment(runtime)
    config.Spawner.start_timeout = math.ceil(runtime.spec.hub.start_timeout)
    config.Spawner.options_form = lambda spawner: options_form(
        runtime.spec.profiles_of(spawner.user.name)
    )
    config.Spawner.options_from_form = options_from_form
    config.Spawner.apply_user_options = apply_profile
    config.Spawner.args = _SERVER_ARGS
    # A server's death is noticed within this time (the stock hub asks every 30 s).
    config.Spawner.poll_interval = 5
    config.LocalProcessSpawner.interrupt_timeout = 5
    config.LocalProcessSpawner.term_timeout = 5
    return config


def environment(runtime: Runtime) -> dict[str, str | Callable[[Any], str]]:
    """Return what every notebook server finds in its environment. Nothing secret."""

    def dashboards(spawner: FacilitySpawner) -> str:
        # Through the person's own server, which asks who he is; Dask's pages do not.
        return (
            f"{spawner.server.base_url}proxy/{runtime.ports.gateway}"
            f"{runtime.gateway_prefix}"
        )

    return {
        MARK: runtime.id,
        OFFLOAD: str(runtime.offload_file),
        **MALLOC,
        "DASK_GATEWAY__ADDRESS": runtime.gateway_url,
        "DASK_GATEWAY__PUBLIC_ADDRESS": dashboards,
        "DASK_GATEWAY__PROXY_ADDRESS": runtime.gateway_tls_url,
        "DASK_GATEWAY__AUTH__TYPE": "facility.client.gateway_auth.HubAuth",
        "DASK_LABEXTENSION__FACTORY__MODULE": "dask_gateway",
        "DASK_LABEXTENSION__FACTORY__CLASS": "GatewayCluster",
    }
