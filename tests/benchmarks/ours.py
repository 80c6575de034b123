"""Our side: ``facility up`` in an empty directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from running import DidNotStartError, Running, free_ports, wait_until_answers

from facility.runtime import Runtime

COMMAND = Path(sys.executable).parent / "facility"


@contextmanager
def ours(directory: Path, times: dict[str, float]) -> Iterator[Running]:
    """Run it below an empty directory; fill in ``hub`` and ``gateway`` seconds."""
    (port,) = free_ports(1)
    (directory / "facility.yaml").write_text(f"hub: {{port: {port}}}\n")
    environment = os.environ | {
        "HOME": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
        "XDG_RUNTIME_DIR": str(directory / "run"),
    }
    (directory / "run").mkdir(mode=0o700)
    url = f"http://127.0.0.1:{port}"
    try:
        start = time.monotonic()
        with subprocess.Popen(
            [COMMAND, "up", "--json"],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as up:
            wait_until_answers(f"{url}/hub/api/", lambda: up.poll() in (None, 0))
            times["hub"] = time.monotonic() - start
            health = f"{url}/services/dask-gateway/api/health"
            wait_until_answers(health, lambda: up.poll() in (None, 0))
            times["gateway"] = time.monotonic() - start
            output, errors = up.communicate(timeout=120)
        if up.returncode:
            raise DidNotStartError(f"ours: {errors}")
        link = json.loads(output)["login"]
        runtime = Runtime.load(next(directory.rglob("facility.json")))
        user, token = _token(url, link)
        yield Running(
            url=url,
            user=user,
            token=token,
            gateway_tls=runtime.gateway_tls_url,
            client_environment={
                "DASK_GATEWAY__AUTH__TYPE": "facility.client.gateway_auth.HubAuth",
                "JUPYTERHUB_API_TOKEN": token,
            },
        )
    finally:
        subprocess.run(
            [COMMAND, "down"],
            cwd=directory,
            env=environment,
            check=True,
            capture_output=True,
        )


def _token(url: str, link: str) -> tuple[str, str]:
    with httpx.Client(base_url=url) as client:
        client.get(link)
        client.get("/hub/home")
        xsrf = {c.name: c.value or "" for c in client.cookies.jar}["_xsrf"]
        headers = {"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "same-origin"}
        user = client.get("/hub/api/user", headers=headers).raise_for_status().json()
        name = str(user["name"])
        answer = client.post(f"/hub/api/users/{name}/tokens", json={}, headers=headers)
        return name, str(answer.raise_for_status().json()["token"])
