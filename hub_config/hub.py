"""Where the hub listens, what it keeps, and how long anything lasts."""

from __future__ import annotations

from traitlets.config import Config

from facility.runtime import Runtime
from hub_config.services import culler_token


def settings(runtime: Runtime) -> Config:
    """Return addresses, secrets, database and life cycle of the hub itself."""
    config = Config()
    hub = config.JupyterHub
    hub.bind_url = runtime.public_url
    hub.hub_bind_url = f"http://127.0.0.1:{runtime.ports.hub_api}"
    hub.db_url = f"sqlite:///{runtime.state_dir / 'hub.sqlite'}"
    hub.cookie_secret = bytes.fromhex(runtime.secret("hub-cookie"))
    config.CryptKeeper.keys = [bytes.fromhex(runtime.secret("hub-crypt"))]

    config.ConfigurableHTTPProxy.should_start = False
    config.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{runtime.ports.proxy_api}"
    config.ConfigurableHTTPProxy.auth_token = runtime.secret("proxy-token")

    # Servers and proxy have lives of their own: a hub that ends leaves them alone, and
    # the next one finds them again.
    hub.cleanup_servers = False
    hub.cleanup_proxy = False

    # A request to start a server is answered at once; progress tells the rest.
    hub.tornado_settings = {"slow_spawn_timeout": 0}
    if runtime.spec.hub.tls_certificate is not None:
        # The hub marks the login cookie by itself, others only if told.
        hub.tornado_settings["cookie_options"] = {"secure": True}
    config.FacilityHub.runtime = runtime
    config.FacilityHub.idle_timeout_s = runtime.spec.hub.idle_timeout
    config.FacilityHub.culler_token = culler_token(runtime)

    hub.allow_named_servers = False
    # The supervisor stamps and rotates what it reads; colours would be noise in a file.
    hub.log_format = "[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"
    return config
