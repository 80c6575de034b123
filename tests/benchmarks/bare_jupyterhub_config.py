"""JupyterHub with dask-gateway as its managed service, as their manuals have it.

Only what makes them work at all here is set: no Node, any user name, versions of
distributed without ``dask-scheduler``.
"""

import os
import sys
from pathlib import Path

HERE = Path(os.environ["BARE_CONFIG"])
BIN = Path(sys.executable).parent
PORTS = {
    name: int(os.environ[f"BARE_PORT_{name}"])
    for name in ("HUB", "HUB_API", "PROXY_API", "GATEWAY", "GATEWAY_TLS", "GATEWAY_API")
}

c = get_config()  # noqa: F821  # type: ignore[name-defined]
c.JupyterHub.bind_url = f"http://127.0.0.1:{PORTS['HUB']}"
c.JupyterHub.hub_port = PORTS["HUB_API"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORTS['PROXY_API']}"
c.ConfigurableHTTPProxy.command = [str(BIN / "configurable-http-proxy")]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
if os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]

c.JupyterHub.services = [
    {
        "name": "dask-gateway",
        "url": f"http://127.0.0.1:{PORTS['GATEWAY']}",
        "command": [
            str(BIN / "dask-gateway-server"),
            "-f",
            str(HERE / "bare_gateway_config.py"),
        ],
        "environment": {
            name: os.environ[name]
            for name in os.environ
            if name.startswith("BARE_") or name == "PATH"
        },
    },
    {"name": "bench", "api_token": os.environ["BARE_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "user",
        "scopes": ["self", "access:services!service=dask-gateway"],
    },
    {
        "name": "server",
        "scopes": [
            "users:activity!user",
            "access:servers!server",
            "access:services!service=dask-gateway",
        ],
    },
    {
        "name": "bench",
        "scopes": ["admin:users", "admin:servers", "tokens"],
        "services": ["bench"],
    },
]
