"""dask-gateway-server with its own backend of local processes."""

import os
import sys
from pathlib import Path

DASK = str(Path(sys.executable).parent / "dask")

c = get_config()  # noqa: F821  # type: ignore[name-defined]
c.DaskGateway.address = f"127.0.0.1:{os.environ['BARE_PORT_GATEWAY_API']}"
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"
c.JupyterHubAuthenticator.jupyterhub_service_name = "dask-gateway"
c.Proxy.address = f"127.0.0.1:{os.environ['BARE_PORT_GATEWAY']}"
c.Proxy.tcp_address = f"127.0.0.1:{os.environ['BARE_PORT_GATEWAY_TLS']}"
c.Proxy.prefix = "/services/dask-gateway"
# distributed has no dask-scheduler and dask-worker any more.
c.ClusterConfig.scheduler_cmd = [DASK, "scheduler"]
c.ClusterConfig.worker_cmd = [DASK, "worker"]
