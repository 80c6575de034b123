"""``python -m gateway [server|proxy]``: dask-gateway for the facility around us."""

from __future__ import annotations

import os
import sys

from facility.runtime import Runtime


def main(role: str = "server") -> None:
    """Run one of the two processes; returns when it has ended."""
    runtime = Runtime.from_environment()
    match role:
        case "server":
            run_server(runtime)
        case "proxy":
            run_proxy(runtime)
        case _:
            sys.exit(f"gateway: expected 'server' or 'proxy', got {role!r}")


def run_server(runtime: Runtime) -> None:
    """Run dask-gateway-server with our backend."""
    from dask_gateway_server.app import DaskGateway

    from gateway.config import server_config

    os.umask(0o077)

    class Server(DaskGateway):
        """The stock server; its configuration is made, not read from a file."""

        def load_config_file(self, *_: object, **__: object) -> None:
            self.update_config(server_config(runtime))

    Server.launch_instance(argv=[])


def run_proxy(runtime: Runtime) -> None:
    """Become the proxy that dask-gateway-server's wheel brings along."""
    from gateway.proxy import command

    path, arguments = command(runtime)
    os.environ["DASK_GATEWAY_PROXY_TOKEN"] = runtime.secret("gateway-proxy-token")
    os.execv(path, arguments)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main(*sys.argv[1:])
