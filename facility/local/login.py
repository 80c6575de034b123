"""The link that lets a person in."""

from __future__ import annotations

import time

from facility.errors import UsageError
from facility.runtime import Runtime
from facility.spec import AuthenticatorKind
from hub_config import tokens


def login_link(runtime: Runtime, user: str | None = None) -> str:
    """Return a link that logs ``user`` (the owner if none) in once.

    Raises:
        UsageError: the facility has passwords or an identity provider instead, or
            does not know the user.
    """
    kind = runtime.spec.hub.authenticator
    if kind is not AuthenticatorKind.ONE_PERSON:
        raise UsageError(
            f"hub.authenticator is {kind.value!r}, which has no one-time links: log in "
            f"at {runtime.public_url}"
        )
    user = user or runtime.owner
    if user not in runtime.people:
        allowed = runtime.spec.users.allowed or (runtime.owner,)
        raise UsageError(
            f"--user: {user!r} may not log in, users.allowed of facility.yaml has "
            f"{', '.join(allowed)}"
        )
    token = tokens.mint(runtime.secrets_dir, user, now=time.time())
    return tokens.login_url(runtime, token)


def entrance(runtime: Runtime) -> str:
    """Return what its owner opens: a one-time link, or the page to log in at.

    Root may run a facility for others (``users.allowed``) without being one of them.
    """
    kind = runtime.spec.hub.authenticator
    if kind is AuthenticatorKind.ONE_PERSON and runtime.owner in runtime.people:
        return login_link(runtime)
    return runtime.public_url
