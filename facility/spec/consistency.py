"""What contradicts what in a file whose values are all fine by themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facility.spec.units import write_bytes

if TYPE_CHECKING:  # the models use this module
    from facility.spec.models import Facility, Hub, Profile, Resources
    from facility.spec.sites import Site

Location = tuple[str | int, ...]
"""Keys and indexes from a model down to a value."""

HERE = "here"
"""Name of the site that is this machine; it is there without being declared."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A value that does not fit to the others: where, from the model, and why."""

    location: Location
    message: str


class InconsistentError(ValueError):
    """Values of one model do not fit together."""

    def __init__(self, contradictions: Iterable[Contradiction]) -> None:
        self.contradictions = tuple(contradictions)
        super().__init__("; ".join(c.message for c in self.contradictions))


def refuse(contradictions: Iterable[Contradiction]) -> None:
    """Raise an error with all contradictions, if there are any.

    Raises:
        InconsistentError: there is at least one.
    """
    if found := tuple(contradictions):
        raise InconsistentError(found)


def contradictions_of_hub(hub: Hub) -> Iterator[Contradiction]:
    """Yield what does not fit together in the section ``hub``."""
    is_loopback = hub.bind in _LOOPBACK
    if hub.authenticator == "one-person" and not is_loopback:
        yield Contradiction(
            ("bind",),
            "authenticator 'one-person' works on loopback only; expected 127.0.0.1 "
            f"(or authenticator 'pam' or 'oauth'), got {hub.bind!r}",
        )
    if not is_loopback and (hub.tls_certificate is None or hub.tls_key is None):
        yield Contradiction(
            ("bind",),
            "beyond loopback traffic must be encrypted; expected tls_certificate and "
            f"tls_key with bind {hub.bind!r}, got none",
        )
    if hub.authenticator == "oauth" and hub.oauth is None:
        yield Contradiction(
            ("authenticator",),
            "'oauth' needs an identity provider; expected section 'oauth', got none",
        )


def contradictions_of_facility(facility: Facility) -> Iterator[Contradiction]:
    """Yield names that are there twice or not at all, and workers above the ceiling."""
    for section, names in (
        ("profiles", [p.name for p in facility.profiles]),
        ("slices", [s.name for s in facility.slices]),
        ("sites", [s.name for s in facility.sites]),
    ):
        yield from _duplicates(section, names)
    if facility.images and facility.publisher is None:
        yield Contradiction(
            ("images",),
            "nothing publishes them; expected section 'publisher' too, got none",
        )
    slices = {s.name for s in facility.slices}
    for index, profile in enumerate(facility.profiles):
        where: Location = ("profiles", index)
        if profile.slice is not None and profile.slice not in slices:
            yield Contradiction(
                (*where, "slice"),
                f"no such slice; expected {_one_of(slices)}, got {profile.slice!r}",
            )
        for place, group in enumerate(profile.groups):
            if group not in facility.groups:
                yield Contradiction(
                    (*where, "groups", place),
                    f"no such group; expected {_one_of(facility.groups)}, "
                    f"got {group!r}",
                )
        limit = facility.gateway.ceilings.worker
        yield from _above_ceiling((*where, "worker"), profile, limit)


def contradictions_of_site(site: Site) -> Iterator[Contradiction]:
    """Yield what does not fit together in one of ``sites``."""
    if site.host is not None and site.keys:
        yield Contradiction(
            ("keys",),
            "keys are for a site that dials in; expected none with host "
            f"{site.host!r}, got {len(site.keys)}",
        )
    if site.name == HERE and site.is_remote:
        yield Contradiction(
            ("name",),
            f"{HERE!r} is this machine; expected another name with host or keys, "
            f"got {site.name!r}",
        )
    for key in ("user", "port", "identity", "known_hosts"):
        if site.host is None and getattr(site, key) is not None:
            yield Contradiction(
                (key,), "is for a site reached by SSH; expected host too, got none"
            )


def _duplicates(section: str, names: list[str]) -> Iterator[Contradiction]:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            yield Contradiction(
                (section, index, "name"),
                f"declared twice; expected another name than {section}[{first}] has, "
                f"got {name!r}",
            )


def _above_ceiling(
    where: Location, profile: Profile, limit: Resources
) -> Iterator[Contradiction]:
    worker = profile.worker
    if worker.cores > limit.cores:
        yield Contradiction(
            (*where, "cores"),
            "above gateway.ceilings.worker.cores; "
            f"expected at most {limit.cores}, got {worker.cores}",
        )
    if worker.memory > limit.memory:
        yield Contradiction(
            (*where, "memory"),
            "above gateway.ceilings.worker.memory; expected at most "
            f"{write_bytes(limit.memory)}, got {write_bytes(worker.memory)}",
        )


def _one_of(names: Collection[str]) -> str:
    return f"one of {', '.join(sorted(names))}" if names else "none (none is declared)"
