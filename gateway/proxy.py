"""How dask-gateway's proxy is started, without importing the server (0.5 s of CPU)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from facility.runtime import Runtime


def executable() -> Path:
    """Return the static binary inside the wheel of dask-gateway-server."""
    spec = find_spec("dask_gateway_server")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "proxy" / "dask-gateway-proxy"


def command(runtime: Runtime) -> tuple[str, list[str]]:
    """Return the program and its arguments; its token travels in the environment."""
    ports = runtime.ports
    path = str(executable())
    return path, [
        path,
        "-address",
        f"127.0.0.1:{ports.gateway}",
        "-tcp-address",
        f"127.0.0.1:{ports.gateway_tls}",
        "-api-url",
        f"http://127.0.0.1:{ports.gateway_api}/api/v1/routes",
        "-log-level",
        "warn",
    ]
