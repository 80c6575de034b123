"""What a person chooses when he starts his server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from facility.errors import UsageError
from facility.spec import Facility, Profile
from facility.spec.units import format_bytes

OPTION = "profile"
"""Name of the choice in forms and in the body of ``POST .../server``."""


def chosen(spec: Facility, user: str, options: Mapping[str, object]) -> Profile:
    """Return the profile that the options name, or the first that the user may have.

    Raises:
        UsageError: the user has no profile of that name.
    """
    offered = spec.profiles_of(user)
    name = options.get(OPTION)
    for profile in offered:
        if name in (None, profile.name):
            return profile
    raise UsageError(
        f"no profile {name!r} for {user!r}: choose one of "
        f"{', '.join(p.name for p in offered) or '(none is offered)'}"
    )


def options_form(offered: Sequence[Profile]) -> str:
    """Return the form's inner HTML, or nothing where there is nothing to choose."""
    if len(offered) < 2:
        return ""
    return "\n".join(
        f"""<div class="form-check">
<input class="form-check-input" type="radio" name="{OPTION}" id="profile-{index}"
 value="{escape(profile.name)}"{" checked" if index == 0 else ""}>
<label class="form-check-label" for="profile-{index}">
<strong>{escape(profile.title or profile.name)}</strong><br>
{escape(profile.description or _size(profile))}</label></div>"""
        for index, profile in enumerate(offered)
    )


def options_from_form(form: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Turn the submitted form into options of the server."""
    values = form.get(OPTION, ())
    return {OPTION: values[0]} if values else {}


def _size(profile: Profile) -> str:
    server = profile.server
    cores = "1 core" if server.cores == 1 else f"{server.cores} cores"
    return f"{cores}, {format_bytes(server.memory)}"
