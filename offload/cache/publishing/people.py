"""Who asks: known by a token, an administrator by the settings."""

from __future__ import annotations

from fastapi import Request

from offload.cache.publishing.desk import Desk
from offload.cache.publishing.errors import RefusedEventError
from offload.cache.publishing.tokens import person_of, reporter_of


def person_asking(request: Request, desk: Desk) -> str:
    """Return who asks.

    Raises:
        RefusedEventError: nobody that we know.
    """
    return person_of(request.headers.get("Authorization"), desk.token_key)


def reporter_asking(request: Request, desk: Desk) -> str:
    """Return which site, or person, reports.

    Raises:
        RefusedEventError: none that we know.
    """
    return reporter_of(request.headers.get("Authorization"), desk.token_key)


def is_person(request: Request, desk: Desk) -> bool:
    """Whether we know who asks."""
    try:
        person_asking(request, desk)
    except RefusedEventError:
        return False
    return True


def administrator_asking(request: Request, desk: Desk) -> str:
    """Return who asks.

    Raises:
        RefusedEventError: nobody that we know, or no administrator.
    """
    person = person_asking(request, desk)
    if person not in desk.settings.admins:
        raise RefusedEventError(f"{person} may not do this: only those who run it may")
    return person
