"""Jobs as pods: what a site is asked to run. Pure.

The pod's working folder is an ``emptyDir`` that the plugin fills with the snapshot's
code; everything else of the snapshot is mounted read-only where it was at home.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from offload.interlink import (
    Container,
    EmptyDirSource,
    EnvVar,
    ImageSource,
    ObjectMeta,
    Pod,
    PodSpec,
    ResourceRequirements,
    RetrievedContainer,
    RetrievedPodData,
    Secret,
    SecretSource,
    Volume,
    VolumeMount,
)
from offload.jobs.model import MAIN, Element, Job
from offload.jobs.notebook import notebook_command
from offload.jobs.placement import resource_of
from offload.snapshot import Snapshot
from offload.snapshot.bytecode import is_bytecode
from offload.snapshot.model import CODE, ENVIRONMENT

HOST_IMAGE = "analysis-facility/host"
"""The site's own ``/usr``."""
SNAPSHOT_IMAGE = "analysis-facility/snapshot"
CREDENTIALS_PATH = "/run/credentials"
GRACE_S = 30
"""Between SIGTERM and SIGKILL at the end of its time."""
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

_PREFIX = "analysis-facility"
_SNAPSHOT = "snapshot"
_CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Credential:
    """A file that the job may read; never recorded."""

    name: str
    content: bytes

    def __repr__(self) -> str:
        return f"Credential({self.name!r})"


def pod_name(element: Element) -> str:
    """Return the name of its pod: ``job-42``, or ``job-42-7`` for one of many."""
    return f"job-{element.name}".replace(".", "-")


def naming_pod(element: Element, user: str) -> Pod:
    """Return as much of an element's pod as names it."""
    return Pod(
        api_version="v1",
        kind="Pod",
        metadata=ObjectMeta(name=pod_name(element), namespace=user, uid=element.uid),
    )


def build(
    job: Job,
    element: Element,
    snapshot: Snapshot,
    *,
    user: str,
    credentials: tuple[Credential, ...] = (),
) -> RetrievedPodData:
    """Return the pod of one execution: the same for the same arguments."""
    spec = job.spec
    volumes = [
        Volume(name=CODE, empty_dir=EmptyDirSource()),
        Volume(
            name=_SNAPSHOT,
            image=ImageSource(reference=f"{SNAPSHOT_IMAGE}@{snapshot.image}"),
        ),
    ]
    secrets: tuple[Secret, ...] = ()
    mounts = _mounts(snapshot)
    if credentials:
        secret = _secret(job, user, credentials)
        secrets = (secret,)
        volumes.append(
            Volume(
                name=_CREDENTIALS,
                secret=SecretSource(
                    secret_name=secret.metadata.name, default_mode=0o400
                ),
            )
        )
        mounts = (
            *mounts,
            VolumeMount(name=_CREDENTIALS, mount_path=CREDENTIALS_PATH, read_only=True),
        )
    command = spec.command
    if spec.notebook is not None:
        command = notebook_command(snapshot, spec.root / spec.notebook)
    main = Container(
        name=MAIN,
        image=HOST_IMAGE,
        command=command,
        working_dir=str(spec.cwd),
        env=tuple(
            # Kubernetes expands $(NAME) in values; a doubled dollar stays one.
            EnvVar(name=name, value=value.replace("$(", "$$("))
            for name, value in _environment(job, element, snapshot, credentials).items()
        ),
        resources=ResourceRequirements(limits=_limits(job)),
        volume_mounts=mounts,
    )
    bare = naming_pod(element, user)
    pod = Pod(
        api_version="v1",
        kind="Pod",
        metadata=bare.metadata.model_copy(
            update={"annotations": _annotations(job, element)}
        ),
        spec=PodSpec(
            containers=(main,),
            volumes=tuple(volumes),
            restart_policy="Never",
            active_deadline_seconds=math.ceil(spec.time_s),
            termination_grace_period_seconds=GRACE_S,
        ),
    )
    held = RetrievedContainer(name=MAIN, secrets=secrets)
    return RetrievedPodData(pod=pod, container=(held,))


def _annotations(job: Job, element: Element) -> dict[str, str]:
    spec = job.spec
    found = {
        f"{_PREFIX}/job": str(job.id),
        f"{_PREFIX}/index": str(element.index),
        f"{_PREFIX}/group": job.group,
        f"{_PREFIX}/group-size": str(spec.count),
        f"{_PREFIX}/outputs": json.dumps(spec.declared),
        f"{_PREFIX}/working-folder": CODE,
    }
    if spec.nodes > 1 or spec.tasks > 1:
        found[f"{_PREFIX}/nodes"] = str(spec.nodes)
        found[f"{_PREFIX}/tasks"] = str(spec.tasks)
    if spec.flags:
        found["slurm-job.vk.io/flags"] = spec.flags
    return found


def _limits(job: Job) -> dict[str, str]:
    spec = job.spec
    limits = {"cpu": str(spec.cpus), "memory": str(spec.memory_bytes)}
    if spec.slice is not None:
        limits[resource_of(spec.slice)] = "1"
    return limits


def _mounts(snapshot: Snapshot) -> tuple[VolumeMount, ...]:
    found = []
    for part in snapshot.parts:
        if is_bytecode(part.role):  # the site lays it over what it belongs to
            continue
        if part.role == CODE:
            found.append(VolumeMount(name=CODE, mount_path=part.mount))
        else:
            found.append(
                VolumeMount(
                    name=_SNAPSHOT,
                    sub_path=part.path_in_image,
                    mount_path=part.mount,
                    read_only=True,
                )
            )
    # What lies inside another mount has to come after it.
    return tuple(sorted(found, key=lambda mount: mount.mount_path.count("/")))


def _environment(
    job: Job, element: Element, snapshot: Snapshot, credentials: tuple[Credential, ...]
) -> Mapping[str, str]:
    found = dict(job.spec.environment)
    environment = snapshot.part(ENVIRONMENT)
    path = found.get("PATH", DEFAULT_PATH)
    if environment is not None:
        first = f"{environment.mount}/bin"
        rest = [p for p in path.split(":") if p != first]
        path = ":".join([first, *rest])
        if found.get("CONDA_PREFIX") != environment.mount:
            found.pop("CONDA_PREFIX", None)
            found.pop("CONDA_DEFAULT_ENV", None)
            found["VIRTUAL_ENV"] = environment.mount
    found["PATH"] = path
    if credentials:
        found["CREDENTIALS_DIRECTORY"] = CREDENTIALS_PATH
    return found | {
        "FACILITY_JOB_ID": str(job.id),
        "FACILITY_JOB_INDEX": str(element.index),
        "FACILITY_JOB_COUNT": str(job.spec.count),
    }


def _secret(job: Job, user: str, credentials: tuple[Credential, ...]) -> Secret:
    return Secret(
        metadata=ObjectMeta(name=f"job-{job.id}-credentials", namespace=user),
        type="Opaque",
        data={c.name: base64.b64encode(c.content).decode() for c in credentials},
    )
