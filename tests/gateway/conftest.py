"""A real dask-gateway-server with our backend and its real proxy.

The hub is reduced to the one question that the gateway asks it (whose token is
this?); ``tests/engines`` runs the same with the real hub.
"""

import base64
import contextlib
import getpass
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from facility.runtime import MARK, VARIABLE, Ports, Runtime
from facility.spec import Facility

HUB = """
import sys
from aiohttp import web

async def user(request):
    name = request.headers["Authorization"].split()[1]
    if name == "unknown":
        return web.json_response({}, status=404)
    scopes = [] if name == "stranger" else ["access:services!service=dask-gateway"]
    return web.json_response({"name": name, "kind": "user", "scopes": scopes})

async def root(request):
    return web.Response()

app = web.Application()
app.add_routes([web.get("/hub/api/user", user), web.get("/hub/api/", root)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


def free_ports(count: int) -> list[int]:
    """Return ports that no connection gets: they must be free again and again."""
    ports: list[int] = []
    for port in random.sample(range(10_000, 20_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no free ports")


class Server:
    """The processes of one gateway, and how to break them."""

    def __init__(self, base: Path, spec: Facility) -> None:
        state, run = base / "state", base / "run"
        for folder in (state / "secrets", state / "log", run):
            folder.mkdir(parents=True)
        for name in ("gateway-hub-token", "gateway-proxy-token"):
            (state / "secrets" / name).write_text(secrets.token_hex(16))
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        (state / "secrets" / "gateway-db-key").write_text(key)
        names = ("hub", "hub_api", "proxy_api", "gateway", "gateway_tls", "gateway_api")
        self.runtime = Runtime(
            id=f"test-{secrets.token_hex(6)}",
            directory=base,
            state_dir=state,
            run_dir=run,
            owner=getpass.getuser(),
            multi_user=False,
            ports=Ports(**dict(zip(names, free_ports(len(names)), strict=True))),
            spec=spec,
        )
        self.environment = {
            **os.environ,
            "SECRET_OF_THE_SHELL": "in which it was started",
            VARIABLE: str(self.runtime.save()),
            MARK: self.runtime.id,
        }
        self.log = state / "log" / "gateway.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        hub_port = str(self.runtime.ports.hub_api)
        self.run("hub", "-c", HUB, hub_port)
        self.run("proxy", "-m", "gateway", "proxy")
        self.start_server()

    def start_server(self) -> None:
        self.run("server", "-m", "gateway", "server")
        deadline = time.monotonic() + 60
        url = f"{self.runtime.gateway_url}/api/health"
        while time.monotonic() < deadline:
            try:
                if httpx.get(url).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def run(self, name: str, *arguments: str) -> None:
        with self.log.open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def marked(self) -> dict[int, str]:
        """Every living process of this gateway: pid -> command line."""
        found = {}
        mark = f"{MARK}={self.runtime.id}".encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (
                    entry / "environ"
                ).read_bytes().split(b"\0"):
                    line = (entry / "cmdline").read_bytes()
                    found[int(entry.name)] = line.replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
            process.wait()
        for pid in self.marked():
            with contextlib.suppress(ProcessLookupError):  # it was ending already
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Facility], Server]]:
    started = []

    def start(spec: Facility) -> Server:
        server = Server(tmp_path_factory.mktemp("gateway"), spec)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()
