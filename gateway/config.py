"""dask-gateway-server's configuration, from what the facility's processes share."""

from __future__ import annotations

from traitlets.config import Config

from facility.runtime import Runtime

CLUSTER_START_TIMEOUT_S = 180
"""What dies meanwhile is seen at once; a busy machine starts many clusters slowly."""
HEARTBEAT_PERIOD_S = 5


def server_config(runtime: Runtime) -> Config:
    """Return the configuration of the server; it holds secrets, so never print it."""
    c = Config()
    api = f"127.0.0.1:{runtime.ports.gateway_api}"
    c.DaskGateway.address = api
    c.DaskGateway.backend_class = "gateway.backend.FacilityBackend"
    c.DaskGateway.authenticator_class = "gateway.authenticator.HubAuthenticator"
    c.HubAuthenticator.jupyterhub_api_url = runtime.hub_api_url
    c.HubAuthenticator.jupyterhub_api_token = runtime.secret("gateway-hub-token")
    c.HubAuthenticator.jupyterhub_service_name = "dask-gateway"
    # The proxy is a process of its own: connections outlive a restart of the server.
    c.Proxy.externally_managed = True
    c.Proxy.address = f"127.0.0.1:{runtime.ports.gateway}"
    c.Proxy.tcp_address = f"127.0.0.1:{runtime.ports.gateway_tls}"
    c.Proxy.prefix = runtime.gateway_prefix
    c.Proxy.api_token = runtime.secret("gateway-proxy-token")
    c.FacilityBackend.api_url = f"http://{api}/api"
    c.FacilityBackend.db_url = f"sqlite:///{runtime.state_dir / 'gateway.sqlite'}"
    c.FacilityBackend.db_encrypt_keys = [runtime.secret("gateway-db-key")]
    c.FacilityBackend.stop_clusters_on_shutdown = False
    c.FacilityBackend.cluster_heartbeat_period = HEARTBEAT_PERIOD_S
    c.FacilityBackend.cluster_heartbeat_timeout = 6 * HEARTBEAT_PERIOD_S
    c.FacilityBackend.cluster_start_timeout = CLUSTER_START_TIMEOUT_S
    c.FacilityBackend.cluster_status_period = 5
    c.FacilityBackend.worker_status_period = 5
    c.FacilityBackend.check_timeouts_period = 2
    # distributed has no scripts dask-scheduler and dask-worker any more.
    c.ClusterConfig.scheduler_cmd = ["dask", "scheduler"]
    c.ClusterConfig.worker_cmd = ["dask", "worker"]
    return c
