"""How messages become JSON and back: exact names, and nothing unknown is lost.

The protocol's objects come from Go: a list or map that is empty there may arrive as
``null``, and fields of Kubernetes that we do not read must reach the other side as
they came.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")


def _list_or_nothing(value: object) -> object:
    return () if value is None else value


def _map_or_nothing(value: object) -> object:
    return {} if value is None else value


Items = Annotated[tuple[T, ...], BeforeValidator(_list_or_nothing)]
"""A list; ``null`` is an empty one."""

Mapping = Annotated[dict[str, T], BeforeValidator(_map_or_nothing)]
"""A map; ``null`` is an empty one."""


class Message(BaseModel):
    """Base of what the protocol itself defines: every field is always written."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        populate_by_name=True,
        serialize_by_alias=True,
        ser_json_inf_nan="null",
    )

    def to_wire(self) -> bytes:
        """Return the message as JSON."""
        return self.model_dump_json().encode()


class KubernetesObject(Message):
    """Base of our views of Kubernetes objects.

    A view names the fields that we read. What was not given is not written, and what
    the view does not name is kept: an object that is read and written again means
    the same to Kubernetes.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    always_written: ClassVar[frozenset[str]] = frozenset()
    """Fields that Kubernetes writes even if they are empty (no ``omitempty``)."""

    @model_serializer(mode="wrap")
    def _only_given(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = type(self).model_fields
        hidden = {
            field.serialization_alias or field.alias or name
            for name, field in fields.items()
            if name not in self.model_fields_set and name not in self.always_written
        }
        return {k: v for k, v in write(self).items() if k not in hidden}
