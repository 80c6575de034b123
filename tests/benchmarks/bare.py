"""The other side: JupyterHub and dask-gateway as they come."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from running import DidNotStartError, Running, free_ports, wait_until_answers

HERE = Path(__file__).parent
PORTS = ("HUB", "HUB_API", "PROXY_API", "GATEWAY", "GATEWAY_TLS", "GATEWAY_API")
USER = "bench"
STOP_S = 30


@contextmanager
def bare(directory: Path, times: dict[str, float]) -> Iterator[Running]:
    """Run it below an empty directory; fill in ``hub`` and ``gateway`` seconds."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    admin = secrets.token_hex(16)
    environment = os.environ | {
        "HOME": str(directory),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BARE_CONFIG": str(HERE),
        "BARE_TOKEN": admin,
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
        **{f"BARE_PORT_{name}": str(port) for name, port in ports.items()},
    }
    log = directory / "jupyterhub.log"
    url = f"http://127.0.0.1:{ports['HUB']}"
    with log.open("wb") as output:
        start = time.monotonic()
        hub = subprocess.Popen(
            [
                Path(sys.executable).parent / "jupyterhub",
                "--config",
                HERE / "bare_jupyterhub_config.py",
            ],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_answers(f"{url}/hub/api/", lambda: hub.poll() is None)
        times["hub"] = time.monotonic() - start
        health = f"{url}/services/dask-gateway/api/health"
        wait_until_answers(health, lambda: hub.poll() is None)
        times["gateway"] = time.monotonic() - start
        token = _token(url, admin)
        yield Running(
            url=url,
            user=USER,
            token=token,
            gateway_tls=f"gateway://127.0.0.1:{ports['GATEWAY_TLS']}",
            client_environment={
                "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
                "JUPYTERHUB_API_TOKEN": token,
            },
        )
    except DidNotStartError as error:
        tail = "\n".join(log.read_text().splitlines()[-20:])
        raise DidNotStartError(f"bare: {error}\n{tail}") from None
    finally:
        _stop(hub)


def _token(url: str, admin: str) -> str:
    with httpx.Client(headers={"Authorization": f"token {admin}"}) as client:
        users = f"{url}/hub/api/users/{USER}"
        client.post(users).raise_for_status()
        answer = client.post(f"{users}/tokens", json={}).raise_for_status()
        return str(answer.json()["token"])


def _stop(hub: subprocess.Popen[bytes]) -> None:
    hub.terminate()
    try:
        hub.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(hub.pid, signal.SIGKILL)
        hub.wait()
