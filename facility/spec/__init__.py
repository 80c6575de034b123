"""``facility.yaml``: typed models, defaults and validation with line numbers."""

from facility.spec.models import (
    AuthenticatorKind,
    Ceiling,
    Ceilings,
    Facility,
    Gateway,
    Group,
    Hub,
    Profile,
    Resources,
    Site,
    SiteKind,
    Slice,
    Storage,
    Users,
)

__all__ = [
    "AuthenticatorKind",
    "Ceiling",
    "Ceilings",
    "Facility",
    "Gateway",
    "Group",
    "Hub",
    "Profile",
    "Resources",
    "Site",
    "SiteKind",
    "Slice",
    "Storage",
    "Users",
]
