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
    Slice,
    Storage,
    Users,
)
from facility.spec.publishing import ImageRegistry, Publisher
from facility.spec.schema import schema
from facility.spec.sites import DialIn, Offload, Site, SiteKey, SiteKind
from facility.spec.writing import dumps

__all__ = [
    "FILE_NAME",
    "AuthenticatorKind",
    "Ceiling",
    "Ceilings",
    "DialIn",
    "Facility",
    "Gateway",
    "Group",
    "Hub",
    "ImageRegistry",
    "OAuth",
    "Offload",
    "Problem",
    "Profile",
    "Publisher",
    "Resources",
    "Site",
    "SiteKey",
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
