"""What else talks to the hub: Dask clusters, the ``facility`` command, the culler."""

from __future__ import annotations

import hashlib
import hmac

from traitlets.config import Config

from facility.runtime import Runtime

GATEWAY = "dask-gateway"
ADMIN = "facility"
CULLER = "idle-culler"

_GATEWAY_ACCESS = f"access:services!service={GATEWAY}"


def settings(runtime: Runtime) -> Config:
    """Return services, roles and groups as the hub's configuration has them."""
    config = Config()
    config.JupyterHub.services = [
        # Without url: the hub would wait 25 s for a gateway that is down or slow, and
        # the gateway has a life of its own. Its route is Proxy.extra_routes.
        _service(GATEWAY, runtime.secret("gateway-hub-token")),
        _service(ADMIN, runtime.secret("admin-token")),
        _service(CULLER, culler_token(runtime)),
    ]
    config.JupyterHub.load_roles = [
        {
            "name": "user",
            "description": "Own account and servers, and Dask clusters",
            "scopes": ["self", _GATEWAY_ACCESS],
        },
        {
            "name": "server",
            "description": "What a notebook server may do: report, and use clusters",
            "scopes": [
                "users:activity!user",
                "access:servers!server",
                _GATEWAY_ACCESS,
            ],
        },
        {
            "name": "gateway-identifies-users",
            "description": "Nothing beyond asking whose token it was shown",
            "scopes": [f"read:services!service={GATEWAY}"],
            "services": [GATEWAY],
        },
        {
            "name": "facility-command",
            "description": "facility status and facility down",
            "scopes": ["list:users", "read:hub", "read:servers", "delete:servers"],
            "services": [ADMIN],
        },
        {
            "name": "stop-idle-servers",
            "description": "Find and stop servers that nobody uses",
            "scopes": [
                "list:users",
                "read:users:activity",
                "read:servers",
                "delete:servers",
            ],
            "services": [CULLER],
        },
    ]
    config.JupyterHub.load_groups = {
        name: {"users": list(group.users)}
        for name, group in runtime.spec.groups.items()
    }
    config.Proxy.extra_routes = {
        f"{runtime.gateway_prefix}/": f"http://127.0.0.1:{runtime.ports.gateway}"
    }
    return config


def culler_token(runtime: Runtime) -> str:
    """Return the culler's API token: the same after each start, and in no file."""
    key = bytes.fromhex(runtime.secret("hub-crypt"))
    return hmac.new(key, CULLER.encode(), hashlib.sha256).hexdigest()


def _service(name: str, token: str) -> dict[str, object]:
    return {"name": name, "api_token": token, "display": False}
