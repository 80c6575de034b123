"""Which keys may dial in, for which site and whose jobs. No I/O but the file's."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from offload.link.errors import LinkRefusedError
from offload.link.state import Paused, Reachable, State
from offload.link.validity import Validity, until_the_end_of


class AdmittedKey(BaseModel):
    """One public key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    person: str
    key: str
    """As in ``authorized_keys``, without options."""
    expires: date | None = None
    """Last day (UTC) on which it is accepted."""

    @property
    def validity(self) -> Validity:
        return until_the_end_of(self.expires)

    @property
    def way(self) -> Way:
        return Way(self.site, self.person)

    def state(self, now: datetime) -> State:
        """Say what the key's validity means for a site that is connected with it."""
        validity = self.validity
        if validity.has_ended(now):
            return Paused(
                f"the key with which {self.site} dials in was accepted until "
                f"{self.expires}: put a later day, or a new key, into facility.yaml"
            )
        warning = ""
        if validity.ends_soon(now):
            warning = (
                f"the key with which {self.site} dials in is accepted until "
                f"{self.expires} only"
            )
        return Reachable(validity.end, warning)


@dataclass(frozen=True, slots=True)
class Way:
    """From one person's agent to one site."""

    site: str
    person: str

    def __str__(self) -> str:
        return f"{self.site} of {self.person}"


class EndpointSettings(BaseModel):
    """What the process that sites dial in to must know. Holds no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bind: str
    port: int
    host_key: Path
    """Private key of mode 0600."""
    directory: Path
    """Where sockets appear: ``PERSON/SITE.sock``."""
    multi_user: bool
    """Whether sockets are given to their persons; needs root."""
    keys: tuple[AdmittedKey, ...]

    @property
    def ways(self) -> frozenset[Way]:
        return frozenset(key.way for key in self.keys)

    def socket(self, way: Way) -> Path:
        return socket_path(self.directory, way.person, way.site)

    @classmethod
    def load(cls, path: Path) -> EndpointSettings:
        """Read what the supervisor wrote.

        Raises:
            LinkRefusedError: it is not there, or something else.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            raise LinkRefusedError(f"{path}: {error}") from None


def socket_path(directory: Path, person: str, site: str) -> Path:
    """Return where a site that dials in is reached; its state is beside it."""
    return directory / person / f"{site}.sock"


def state_path(socket: Path) -> Path:
    """Return the file that says how the way behind a socket is doing."""
    return socket.with_suffix(".json")


def admitted(
    keys: tuple[AdmittedKey, ...], site: str, offered: str, now: datetime
) -> AdmittedKey | None:
    """Return the entry by which a site gets in with a key; ``None`` if it does not.

    Args:
        keys: all entries.
        site: what the site says it is (its user name in SSH).
        offered: algorithm and base64 of the key it has proven to hold.
        now: with a time zone.
    """
    wanted = offered.split()[:2]
    for entry in keys:
        is_key = hmac.compare_digest(
            " ".join(entry.key.split()[:2]).encode(), " ".join(wanted).encode()
        )
        if entry.site == site and is_key and not entry.validity.has_ended(now):
            return entry
    return None
