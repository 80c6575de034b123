"""The pod as the compute node reads it: ``pod.json``, parsed once.

A stand-alone reader: the typed messages of :mod:`offload.interlink` take longer to
import than the whole way to a container's first instruction may take.
Source of names: Kubernetes API reference, "Pod v1 core".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offload.plugins.node.folder import PodError

Json = Mapping[str, Any]
"""A part of the document, read where it is used: volumes have 30 kinds."""

HOST_IMAGES = frozenset({"", "analysis-facility/host"})
"""Images that mean: the site's own ``/usr``."""
DEFAULT_GRACE_S = 30


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A volume, or a folder of it, at a place in a container."""

    volume: str
    target: str
    sub_path: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod."""

    name: str
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    working_dir: str
    env: tuple[Json, ...]
    env_from: tuple[Json, ...]
    mounts: tuple[VolumeMount, ...]
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    termination_path: str
    is_log_the_message: bool
    """``FallbackToLogsOnError``: the log's end is the message of a failure."""

    @property
    def wants_gpu(self) -> bool:
        return any("gpu" in name or "nvidia.com/" in name for name in self.limits)


@dataclass(frozen=True, slots=True)
class Pod:
    """What is to run, with the config maps and secrets that it names."""

    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    restart_policy: str
    deadline_s: float | None
    grace_s: float
    service_account: str
    init: tuple[Container, ...]
    main: tuple[Container, ...]
    volumes: Mapping[str, Json]
    config_maps: Mapping[str, Mapping[str, bytes]]
    secrets: Mapping[str, Mapping[str, bytes]]
    projected: Mapping[str, Mapping[str, bytes]]
    """Per projected volume, what a virtual node already resolved for it."""

    @property
    def containers(self) -> tuple[Container, ...]:
        return (*self.init, *self.main)

    @property
    def working_folder(self) -> str:
        """Name of the volume that is the job's working folder; empty for none."""
        return self.annotations.get("analysis-facility/working-folder", "")

    @property
    def output_globs(self) -> tuple[str, ...]:
        text = self.annotations.get("analysis-facility/outputs", "[]")
        try:
            globs = json.loads(text)
        except ValueError:
            globs = None
        if not isinstance(globs, list) or not all(isinstance(g, str) for g in globs):
            raise PodError(
                "annotation analysis-facility/outputs: expected a JSON list of "
                f"patterns, got {text[:80]!r}"
            )
        return tuple(globs)

    @property
    def tasks(self) -> tuple[int, int] | None:
        """Nodes and tasks of a parallel job; ``None`` for a job of one process."""
        wanted = [
            self.annotations.get(f"analysis-facility/{what}")
            for what in ("nodes", "tasks")
        ]
        if wanted == [None, None]:
            return None
        try:
            nodes = int(wanted[0] or 1)
            return nodes, int(wanted[1] or nodes)
        except ValueError:
            raise PodError(
                "annotations analysis-facility/nodes and /tasks: expected whole "
                f"numbers, got {wanted}"
            ) from None


def read_pod(path: Path) -> Pod:
    """Read ``pod.json``: the body of ``/create``, or a bare ``v1.Pod``.

    Raises:
        PodError: it is something else.
    """
    try:
        document = json.loads(path.read_bytes())
        return parse_pod(document)
    except OSError as error:
        raise PodError(f"cannot read the pod: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PodError(
            f"{path}: expected a pod as interLink sends it, got something else "
            f"({type(error).__name__}: {error})"
        ) from None


def parse_pod(document: Json) -> Pod:
    """Read a pod and what came with it."""
    pod = document.get("pod", document)
    came_with = document.get("container") or []
    metadata, spec = pod["metadata"], pod["spec"]
    deadline = spec.get("activeDeadlineSeconds")
    grace = spec.get("terminationGracePeriodSeconds")
    return Pod(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        restart_policy=spec.get("restartPolicy") or "Always",
        deadline_s=None if deadline is None else float(deadline),
        grace_s=DEFAULT_GRACE_S if grace is None else float(grace),
        service_account=spec.get("serviceAccountName", ""),
        init=tuple(_container(c) for c in spec.get("initContainers") or []),
        main=tuple(_container(c) for c in spec["containers"]),
        volumes={volume["name"]: volume for volume in spec.get("volumes") or []},
        config_maps=_objects(came_with, "configMaps"),
        secrets=_objects(came_with, "secrets"),
        projected=_objects(came_with, "projectedvolumemaps"),
    )


def _container(spec: Json) -> Container:
    resources = spec.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    return Container(
        name=spec["name"],
        image=spec.get("image") or "",
        command=tuple(spec.get("command") or ()),
        arguments=tuple(spec.get("args") or ()),
        working_dir=spec.get("workingDir") or "",
        env=tuple(spec.get("env") or ()),
        env_from=tuple(spec.get("envFrom") or ()),
        mounts=tuple(
            VolumeMount(
                mount["name"],
                mount["mountPath"],
                mount.get("subPath") or "",
                bool(mount.get("readOnly")),
            )
            for mount in spec.get("volumeMounts") or ()
        ),
        requests={name: str(value) for name, value in requests.items()},
        limits={name: str(value) for name, value in limits.items()},
        termination_path=spec.get("terminationMessagePath") or "/dev/termination-log",
        is_log_the_message=spec.get("terminationMessagePolicy")
        == "FallbackToLogsOnError",
    )


def _objects(containers: Iterable[Json], kind: str) -> dict[str, dict[str, bytes]]:
    """Return config maps or secrets by name; a pod's containers share a namespace."""
    return {
        thing["metadata"]["name"]: _data(thing, are_secrets=kind == "secrets")
        for container in containers
        for thing in container.get(kind) or []
    }


def _data(thing: Json, *, are_secrets: bool) -> dict[str, bytes]:
    encoded = dict(thing.get("binaryData") or {})
    plain = dict(thing.get("stringData") or {})
    (encoded if are_secrets else plain).update(thing.get("data") or {})
    try:
        values = {key: base64.b64decode(v, validate=True) for key, v in encoded.items()}
    except binascii.Error:
        raise PodError(f"{thing['metadata']['name']}: expected base64 values") from None
    return {**values, **{key: value.encode() for key, value in plain.items()}}
