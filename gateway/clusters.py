"""What a cluster is asked to be: options for people, configuration for the backend."""

from __future__ import annotations

from dask_gateway_server.backends.base import ClusterConfig
from dask_gateway_server.models import User
from dask_gateway_server.options import Integer, Mapping, Options, Select, String
from traitlets import Dict, Float, Unicode

from facility.spec import Facility, Profile
from facility.spec.units import format_bytes, parse_bytes, parse_seconds


class FacilityClusterConfig(ClusterConfig):
    """Configuration of one cluster, kept in the gateway's database."""

    detached_s = Float(
        0, help="For so long from its start it may outlive its notebook."
    )
    prefix = Unicode("", help="Environment that was asked for; empty leaves it open.")
    notebook = Dict(help="What the notebook declared (facility.client.gateway_auth).")


def options_of(spec: Facility, user: str) -> Options:
    """Return the options that the user may set for a new cluster."""
    profiles = {p.name: p for p in spec.profiles_of(user)}

    def configure(options: dict[str, object]) -> dict[str, object]:
        return configuration(spec, profiles, options)

    return Options(
        Select("profile", list(profiles), label="Profile"),
        Integer(
            "worker_cores", default=0, min=0, label="Cores per worker (0: profile)"
        ),
        String("worker_memory", label="Memory per worker, as 2 GiB (empty: profile)"),
        String("detached", label="Outlive the notebook for, as 8 h (empty: do not)"),
        String("environment", label="Prefix of the workers' environment (empty: mine)"),
        Mapping("notebook", label="What the notebook says of itself"),
        handler=configure,
    )


def configuration(
    spec: Facility, profiles: dict[str, Profile], options: dict[str, object]
) -> dict[str, object]:
    """Turn chosen options into the configuration of a cluster.

    Raises:
        ValueError: something is above a ceiling; says the numbers and what would fit.
    """
    profile = profiles[str(options["profile"])]
    cores = int(str(options["worker_cores"])) or profile.worker.cores
    asked = options["worker_memory"]
    memory = int(str(parse_bytes(asked))) if asked else profile.worker.memory
    largest = spec.gateway.ceilings.worker
    if not memory:
        # To Dask it would mean that there is no limit.
        raise ValueError(f"worker_memory: a worker needs some, got {asked!r}")
    if cores > largest.cores:
        raise ValueError(
            f"worker_cores: a worker may have {largest.cores} cores, got {cores}"
        )
    if memory > largest.memory:
        raise ValueError(
            f"worker_memory: a worker may have {format_bytes(largest.memory)}, got "
            f"{format_bytes(memory)}"
        )
    detached_s = float(str(parse_seconds(options["detached"] or 0)))
    longest_s = spec.gateway.longest_detached
    if detached_s > longest_s:
        raise ValueError(
            f"detached: a cluster may outlive its notebook for {longest_s:g} s, got "
            f"{detached_s:g} s"
        )
    prefix = options["environment"] or (profile.environment or "")
    return {
        "worker_cores": cores,
        "worker_threads": cores,
        "worker_memory": memory,
        "scheduler_memory": spec.gateway.scheduler_memory,
        "cluster_max_workers": spec.gateway.ceilings.cluster.workers,
        "adaptive_period": spec.gateway.adaptive_period,
        "idle_timeout": spec.gateway.idle_timeout,
        "detached_s": detached_s,
        "prefix": str(prefix),
        "notebook": options["notebook"],
    }


def options_for(spec: Facility) -> object:
    """Return the callable that dask-gateway asks for each user's options."""

    def options(user: User) -> Options:
        return options_of(spec, user.name)

    return options
