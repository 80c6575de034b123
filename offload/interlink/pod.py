"""Small typed views of ``v1.Pod``: the fields that somebody here reads.

Everything else of a pod is kept and written again (see :mod:`offload.interlink.wire`).
Source of names: Kubernetes API reference, "Pod v1 core" and "Volume".
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from offload.interlink.wire import Items, KubernetesObject, Mapping


def _text_of_number(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Quantity = Annotated[str, BeforeValidator(_text_of_number)]
"""A quantity as text; see :mod:`offload.interlink.quantity`."""


class ObjectMeta(KubernetesObject):
    """Name and annotations of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Mapping[str] = Field(default_factory=dict)
    annotations: Mapping[str] = Field(default_factory=dict)
    deletion_timestamp: AwareDatetime | None = None


class KeySelector(KubernetesObject):
    """One key of a config map or secret."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class FieldSelector(KubernetesObject):
    """A field of the pod itself (downward API)."""

    field_path: str = ""


class ResourceFieldSelector(KubernetesObject):
    """A request or limit of a container (downward API)."""

    container_name: str = ""
    resource: str = ""
    divisor: Quantity | None = None


class EnvVarSource(KubernetesObject):
    """Where the value of a variable comes from; one of these is given."""

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None


class EnvVar(KubernetesObject):
    """A variable; ``$(NAME)`` in its value refers to one before it."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class ObjectReference(KubernetesObject):
    """A config map or secret by name."""

    name: str = ""
    optional: bool | None = None


class EnvFromSource(KubernetesObject):
    """All keys of a config map or secret as variables."""

    prefix: str = ""
    config_map_ref: ObjectReference | None = None
    secret_ref: ObjectReference | None = None


class VolumeMount(KubernetesObject):
    """Where a container sees a volume, or a folder of it."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class ResourceRequirements(KubernetesObject):
    """What a container needs, by resource name (``cpu``, ``nvidia.com/...``)."""

    limits: Mapping[Quantity] = Field(default_factory=dict)
    requests: Mapping[Quantity] = Field(default_factory=dict)


class Container(KubernetesObject):
    """What is run."""

    name: str
    image: str = ""
    command: Items[str] = ()
    args: Items[str] = ()
    working_dir: str = ""
    env: Items[EnvVar] = ()
    env_from: Items[EnvFromSource] = ()
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    volume_mounts: Items[VolumeMount] = ()
    termination_message_path: str = ""
    termination_message_policy: str = ""


class KeyToPath(KubernetesObject):
    """One key of a volume as a file; ``mode`` are permission bits."""

    key: str
    path: str
    mode: int | None = None


class ConfigMapSource(KubernetesObject):
    """Files out of a config map."""

    name: str = ""
    items: Items[KeyToPath] = ()
    default_mode: int | None = None
    optional: bool | None = None


class SecretSource(KubernetesObject):
    """Files out of a secret."""

    secret_name: str = ""
    name: str = ""
    """Inside a projected volume the name is here."""
    items: Items[KeyToPath] = ()
    default_mode: int | None = None
    optional: bool | None = None


class DownwardFile(KubernetesObject):
    """A file that says something about the pod."""

    path: str
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardSource(KubernetesObject):
    """Files that say something about the pod."""

    items: Items[DownwardFile] = ()
    default_mode: int | None = None


class TokenSource(KubernetesObject):
    """A service account's token as a file."""

    path: str


class Projection(KubernetesObject):
    """One source of a projected volume; one of these is given."""

    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    downward_api: DownwardSource | None = Field(default=None, alias="downwardAPI")
    service_account_token: TokenSource | None = None


class ProjectedSource(KubernetesObject):
    """Several sources in one folder."""

    sources: Items[Projection] = ()
    default_mode: int | None = None


class EmptyDirSource(KubernetesObject):
    """A folder that begins empty and ends with the pod."""

    medium: str = ""
    size_limit: Quantity | None = None


class ImageSource(KubernetesObject):
    """The files of an OCI image, read-only."""

    reference: str
    pull_policy: str = ""


class HostPathSource(KubernetesObject):
    """A path of the node."""

    path: str
    type: str = ""


class ClaimSource(KubernetesObject):
    """A persistent volume claim."""

    claim_name: str
    read_only: bool = False


class Volume(KubernetesObject):
    """A volume; one of its sources is given."""

    name: str
    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    projected: ProjectedSource | None = None
    downward_api: DownwardSource | None = Field(default=None, alias="downwardAPI")
    empty_dir: EmptyDirSource | None = None
    image: ImageSource | None = None
    host_path: HostPathSource | None = None
    persistent_volume_claim: ClaimSource | None = None


class PodSpec(KubernetesObject):
    """What a pod consists of."""

    containers: Items[Container] = ()
    init_containers: Items[Container] = ()
    volumes: Items[Volume] = ()
    restart_policy: str = "Always"
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int | None = None
    node_name: str = ""
    service_account_name: str = ""


class Pod(KubernetesObject):
    """A pod, as the virtual kubelet sends it and as our agent builds it."""

    api_version: str = "v1"
    kind: str = "Pod"
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: PodSpec = Field(default_factory=PodSpec)

    @property
    def uid(self) -> str:
        return self.metadata.uid

    def annotation(self, name: str) -> str | None:
        """Return an annotation; ``None`` if there is none."""
        return self.metadata.annotations.get(name)


class ConfigMap(KubernetesObject):
    """Files by name: text in ``data``, base64 in ``binary_data``."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    data: Mapping[str] = Field(default_factory=dict)
    binary_data: Mapping[str] = Field(default_factory=dict)


class Secret(KubernetesObject):
    """Files by name: base64 in ``data``, text in ``string_data``."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    type: str = ""
    data: Mapping[str] = Field(default_factory=dict)
    string_data: Mapping[str] = Field(default_factory=dict)
