"""What every model has in common: its base, and the kinds of values in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

GIB = 2**30
NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A label: lower-case letters, digits, dots and dashes, at most 63 characters."""

USER_NAME_PATTERN = r"^[a-z_][a-z0-9_.-]{0,31}$"
UserName = Annotated[str, Field(pattern=USER_NAME_PATTERN)]
"""A login name as Linux accepts it."""

ADDRESS_PATTERN = r"^[A-Za-z0-9.:-]{1,253}$"

Count = Annotated[int, Field(ge=0, le=1_000_000)]
"""How many there may be."""

PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]
"""How many there are."""


class Model(BaseModel):
    """Base of every model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )
