"""Under which identity a user's processes run."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from facility.runtime import Runtime
from gateway.warm import Identity


class UnknownUserError(ValueError):
    """Nobody of that name may run processes here."""


def identity_of(runtime: Runtime, user: str) -> Identity | None:
    """Return whom to become for this user; ``None`` to stay who we are.

    Raises:
        UnknownUserError: the user is not of the facility's people (an administrator
            of the hub can make users of any name), has no account, is root, or is not the one person
            that a facility without root can serve.
    """
    if not runtime.multi_user:
        if user != runtime.owner:
            raise UnknownUserError(
                f"user {user!r}: this facility runs as {runtime.owner!r} and serves "
                "nobody else; run it as root to serve several users"
            )
        return None
    if user not in runtime.people:
        raise UnknownUserError(f"user {user!r}: not in users of facility.yaml")
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise UnknownUserError(f"user {user!r}: no such account here") from None
    if account.pw_uid == os.getuid():
        return None if user == runtime.owner else _refuse_root(user)
    groups = os.getgrouplist(user, account.pw_gid)
    return Identity(account.pw_uid, account.pw_gid, tuple(groups))


def _refuse_root(user: str) -> Identity:
    raise UnknownUserError(f"user {user!r}: has root's uid under another name")


def base_environment(runtime: Runtime, user: str) -> dict[str, str]:
    """Return the variables that every process of the user starts with."""
    account = pwd.getpwnam(user)
    keep = ("PATH", "LANG", "LC_ALL", "TZ", "FACILITY_ID")
    return {
        **{key: os.environ[key] for key in keep if key in os.environ},
        "USER": user,
        "LOGNAME": user,
        "HOME": account.pw_dir if runtime.multi_user else str(Path.home()),
    }
