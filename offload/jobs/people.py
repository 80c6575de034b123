"""Whose agent is whose: a person of the facility, and how his processes are started."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.jobs.errors import JobRefusedError
from offload.jobs.settings import Settings

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "FACILITY_ID", "FACILITY_OFFLOAD")
"""What a person's process gets of root's environment; the rest may hold passwords."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose agent may run here."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path
    is_another: bool
    """Whether it is another user than who runs the facility."""

    def ledger(self, settings: Settings) -> Path:
        return self._mine(settings.ledger_template)

    def may_have_jobs(self, settings: Settings) -> bool:
        """Whether there is a ledger, or it is not for us to see: his agent knows."""
        try:
            return self.ledger(settings).exists()
        except OSError:  # such as a home on a file system that is closed to root
            return True

    def agent_socket(self, settings: Settings) -> Path:
        return self._mine(settings.agent_socket_template)

    def log(self, settings: Settings) -> Path:
        """Where his agent writes what it does."""
        return self._mine(settings.state_dir / "agent.log")

    def _mine(self, path: Path) -> Path:
        first, *rest = path.parts
        return self.home.joinpath(*rest) if first == "~" else path

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return what his agent has in its environment."""
        if not self.is_another:
            return dict(inherited)
        kept = {k: inherited[k] for k in _KEPT if k in inherited}
        return {
            **kept,
            "USER": self.name,
            "LOGNAME": self.name,
            "HOME": str(self.home),
        }


def person_of(uid: int, settings: Settings) -> Person:
    """Return the person with that uid.

    Raises:
        JobRefusedError: the facility does not serve him.
    """
    mine = uid == os.geteuid()
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        raise JobRefusedError(f"uid {uid}: no such account here") from None
    if not mine and not settings.multi_user:
        raise JobRefusedError(
            f"user {account.pw_name!r}: this facility serves one person only"
        )
    if settings.multi_user and account.pw_name not in settings.people:
        raise JobRefusedError(
            f"user {account.pw_name!r}: not in users of facility.yaml"
        )
    if not mine and uid == 0:
        raise JobRefusedError("root: has no jobs here")
    return Person(
        name=account.pw_name,
        uid=uid,
        gid=account.pw_gid,
        groups=tuple(os.getgrouplist(account.pw_name, account.pw_gid)),
        home=Path(account.pw_dir) if not mine else Path.home(),
        is_another=not mine,
    )


def people_of(settings: Settings) -> list[Person]:
    """Return everybody whom the facility serves and who has an account."""
    if not settings.multi_user:
        return [person_of(os.geteuid(), settings)]
    found = []
    for name in settings.people:
        try:
            found.append(person_of(pwd.getpwnam(name).pw_uid, settings))
        except (KeyError, JobRefusedError):
            continue  # who comes later is served when he asks
    return found


def agent_command(*options: str) -> list[str]:
    """Return the command of an agent; it reads ``FACILITY_OFFLOAD``."""
    return [sys.executable, "-m", "offload.jobs.agent", *options]
