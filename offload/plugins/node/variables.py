"""The environment of a container: envFrom, env, valueFrom, and nothing of the host's.

Source: Kubernetes API reference, "EnvVar v1 core": later ones win, ``env`` over
``envFrom``; a value refers to those before it.
"""

from __future__ import annotations

from collections.abc import Mapping

from offload.plugins.node import downward
from offload.plugins.node.expansion import expand
from offload.plugins.node.folder import PodError
from offload.plugins.node.pod import Container, Json, Pod

PASSED_ON = ("SLURM_", "SLURMD_", "PMI", "OMPI_", "CUDA_VISIBLE_", "GPU_DEVICE_",
             "ROCR_VISIBLE_", "NVIDIA_VISIBLE_", "ZE_AFFINITY_")  # fmt: skip
"""Beginnings of what the scheduler says to the processes of a job."""
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def of_scheduler(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the scheduler tells its jobs."""
    return {k: v for k, v in environment.items() if k.startswith(PASSED_ON)}


def of_job(pod: Pod) -> dict[str, str]:
    """Return the number of the job, and of this one among its equals."""
    names = {
        "FACILITY_JOB_ID": "analysis-facility/job",
        "FACILITY_JOB_INDEX": "analysis-facility/index",
        "FACILITY_JOB_COUNT": "analysis-facility/group-size",
    }
    return {
        variable: pod.annotations[annotation]
        for variable, annotation in names.items()
        if annotation in pod.annotations
    }


def of_pod(pod: Pod, container: Container, node: downward.Node) -> dict[str, str]:
    """Return what the pod says.

    Raises:
        PodError: it refers to what did not come with it.
    """
    values: dict[str, str] = {}
    for source in container.env_from:
        values.update(_all_of(pod, source))
    for variable in container.env:
        name = variable["name"]
        if variable.get("valueFrom"):
            value = _value_from(pod, container, node, variable["valueFrom"])
            if value is not None:
                values[name] = value
        else:
            values[name] = expand(variable.get("value") or "", values)
    return values


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _all_of(pod: Pod, source: Json) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for kind, objects in (
        ("configMapRef", pod.config_maps),
        ("secretRef", pod.secrets),
    ):
        reference = source.get(kind)
        if reference is None:
            continue
        data = objects.get(reference.get("name", ""))
        if data is None and not reference.get("optional"):
            raise PodError(
                f"envFrom {kind} {reference.get('name')!r}: it did not come with the pod"
            )
        return {prefix + key: _text(value) for key, value in (data or {}).items()}
    return {}


def _value_from(
    pod: Pod, container: Container, node: downward.Node, source: Json
) -> str | None:
    for kind, objects in (
        ("configMapKeyRef", pod.config_maps),
        ("secretKeyRef", pod.secrets),
    ):
        reference = source.get(kind)
        if reference is None:
            continue
        data = objects.get(reference.get("name", ""), {}).get(reference["key"])
        if data is None and not reference.get("optional"):
            raise PodError(
                f"{kind} {reference.get('name')!r}, key {reference['key']!r}: "
                "it did not come with the pod"
            )
        return None if data is None else _text(data)
    if "fieldRef" in source:
        return downward.field(pod, node, source["fieldRef"].get("fieldPath", ""))
    if "resourceFieldRef" in source:
        return downward.resource(pod, node, container, source["resourceFieldRef"])
    raise PodError(f"valueFrom: expected one of four sources, got {sorted(source)}")
