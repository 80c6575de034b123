"""JupyterHub's configuration: all of it follows from the running facility."""

from facility.runtime import Runtime
from hub_config import authentication, hub, services, spawner

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub provides it

runtime = Runtime.from_environment()
for part in (hub, authentication, spawner, services):
    c.merge(part.settings(runtime))
