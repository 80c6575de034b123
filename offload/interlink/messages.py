"""The messages of interLink's wire protocol (plugin specification 0.4.0).

Names on the wire are the protocol's own; unknown fields are kept.
"""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import AwareDatetime, Field, TypeAdapter, field_validator, model_validator

from offload.interlink.pod import ConfigMap, Pod, Secret
from offload.interlink.status import ContainerStatus, Phase, phase
from offload.interlink.wire import Items, Mapping, Message


class RetrievedContainer(Message):
    """What the volumes of one container hold."""

    name: str
    config_maps: Items[ConfigMap] = Field(default=(), alias="configMaps")
    projected_volume_maps: Items[ConfigMap] = Field(
        default=(), alias="projectedvolumemaps"
    )
    """Per projected volume: file names and contents (tokens, CA certificates)."""
    secrets: Items[Secret] = ()
    empty_dirs: Items[str] = Field(default=(), alias="emptyDirs")


class RetrievedPodData(Message):
    """A pod with everything that it refers to: the body of ``/create``."""

    pod: Pod
    container: Items[RetrievedContainer] = ()
    job_config: Mapping[object] = Field(default_factory=dict, alias="jobConfig")
    job_script: str = Field(default="", alias="jobScript")


class PodCreateRequests(Message):
    """What a virtual kubelet sends to interLink's own server."""

    pod: Pod
    config_maps: Items[ConfigMap] = Field(default=(), alias="configmaps")
    secrets: Items[Secret] = ()
    projected_volume_maps: Items[ConfigMap] = Field(
        default=(), alias="projectedvolumesmaps"
    )
    job_script_url: str = Field(default="", alias="jobscriptURL")


class CreateStruct(Message):
    """The answer to ``/create``: which job a pod became."""

    pod_uid: str = Field(alias="PodUID")
    pod_jid: str = Field(default="", alias="PodJID")
    """The scheduler's id; empty while it has none."""


class PodStatus(Message):
    """What a pod does, as a plugin sees it."""

    name: str = ""
    uid: str = Field(alias="UID")
    namespace: str = ""
    jid: str = Field(default="", alias="JID")
    containers: Items[ContainerStatus] = ()
    init_containers: Items[ContainerStatus] = Field(default=(), alias="initContainers")

    @property
    def phase(self) -> Phase:
        """The pod's phase. A failed init container fails a pod that waits for it."""
        main = phase(self.containers)
        failed_init = any(
            c.state.terminated is not None and c.state.terminated.exit_code != 0
            for c in self.init_containers
        )
        return Phase.FAILED if failed_init and main is Phase.PENDING else main


class LogOptions(Message):
    """Which part of a log is wanted; zero and ``False`` mean no restriction."""

    tail: int = Field(default=0, alias="Tail")
    """Lines from the end."""
    limit_bytes: int = Field(default=0, alias="Bytes")
    timestamps: bool = Field(default=False, alias="Timestamps")
    follow: bool = Field(default=False, alias="Follow")
    previous: bool = Field(default=False, alias="Previous")
    since_seconds: int = Field(default=0, alias="SinceSeconds", le=10**12)
    since_time: AwareDatetime | None = Field(default=None, alias="SinceTime")

    @model_validator(mode="before")
    @classmethod
    def _other_name(cls, data: object) -> object:
        if isinstance(data, dict) and "LimitBytes" in data:
            data = dict(data)
            data["Bytes"] = data.pop("LimitBytes") or data.get("Bytes", 0)
        return data

    @field_validator("since_time")
    @classmethod
    def _zero_time_is_none(cls, value: datetime | None) -> datetime | None:
        # Go writes a time that is not set as the first day of the year 1.
        return None if value is not None and value.year == 1 else value


class LogStruct(Message):
    """Whose log is wanted: the body of ``/getLogs``."""

    namespace: str = Field(default="", alias="Namespace")
    pod_uid: str = Field(alias="PodUID")
    pod_name: str = Field(default="", alias="PodName")
    container_name: str = Field(default="", alias="ContainerName")
    opts: LogOptions = Field(default_factory=LogOptions, alias="Opts")

    def to_wire(self) -> bytes:
        """Return the message as JSON; Go's clients and servers want a time, not null."""
        document = self.model_dump(mode="json")
        if self.opts.since_time is None:
            document["Opts"]["SinceTime"] = "0001-01-01T00:00:00Z"
        return json.dumps(document).encode()


class Accelerator(Message):
    """Devices of one kind that a site has."""

    resource_type: str = Field(default="", alias="resourceType")
    available: int = 0


class PingResources(Message):
    """What a site has; becomes the capacity of its node."""

    cpu: str = ""
    memory: str = ""
    pods: str = ""
    accelerators: Items[Accelerator] = ()


class Taint(Message):
    """What keeps pods away that do not tolerate it."""

    key: str
    value: str = ""
    effect: str


class PingResponse(Message):
    """The answer to a status request for no pod."""

    status: str = ""
    resources: PingResources | None = None
    taints: Items[Taint] = ()


_PODS = TypeAdapter(tuple[RetrievedPodData, ...])
_PODS_ASKED = TypeAdapter(tuple[Pod, ...])
_STATUSES = TypeAdapter(tuple[PodStatus, ...])


def read_create(body: bytes) -> tuple[tuple[RetrievedPodData, ...], bool]:
    """Read ``/create``: one object, or a list of them as older versions send it.

    Returns:
        The pods, and whether they came as a list.

    Raises:
        pydantic.ValidationError: it is something else.
    """
    if body.lstrip()[:1] == b"[":
        return _PODS.validate_json(body), True
    return (RetrievedPodData.model_validate_json(body),), False


def read_status_request(body: bytes) -> tuple[Pod, ...]:
    """Read ``/status``: the pods asked for; none for a ping.

    Raises:
        pydantic.ValidationError: it is no list of pods.
    """
    return _PODS_ASKED.validate_json(body) if body.strip() else ()


def read_statuses(body: bytes) -> tuple[PodStatus, ...]:
    """Read the answer to ``/status``.

    Raises:
        pydantic.ValidationError: it is no list of statuses.
    """
    return () if body.strip() == b"null" else _STATUSES.validate_json(body)
