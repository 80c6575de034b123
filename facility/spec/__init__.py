"""``facility.yaml``: typed models, defaults and validation with line numbers."""

from facility.spec.diagnostics import Problem, SpecError
from facility.spec.loading import FILE_NAME, load, loads
from facility.spec.models import (
    AuthenticatorKind,
    Ceiling,
    Ceilings,
    Facility,
    Gateway,
    Group,
    Hub,
    OAuth,
    Profile,
    Resources,
    Site,
    SiteKind,
    Slice,
    Storage,
    Users,
)
from facility.spec.schema import schema
from facility.spec.writing import dumps

__all__ = [
    "FILE_NAME",
    "AuthenticatorKind",
    "Ceiling",
    "Ceilings",
    "Facility",
    "Gateway",
    "Group",
    "Hub",
    "OAuth",
    "Problem",
    "Profile",
    "Resources",
    "Site",
    "SiteKind",
    "Slice",
    "SpecError",
    "Storage",
    "Users",
    "dumps",
    "load",
    "loads",
    "schema",
]
