"""Keeps what open jobs have published at the publisher: a lease for the whole ledger.

Told as the whole set whenever it changes and once a day, so nothing of it is to be
remembered here. An agent that vanishes keeps nothing for longer than the lease.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection

from facility.errors import FacilityError
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings

LEASE_S = 7 * 86400.0
"""A person's agent may be away for so long."""
RENEWED_S = 86400.0
_LATER_S = 60.0

log = logging.getLogger("facility.agent")


class Leases:
    """One lease: on every public image that an open job of a ledger refers to.

    Args:
        settings: whose.
        ledger: with the jobs.
        tell: has the publisher keep these images for so many seconds, for a need.
        clock: seconds; any that only grows.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        tell: Callable[[str, Collection[str], float], None],
        clock: Callable[[], float],
    ) -> None:
        self._uid = lease_uid(settings)
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._held: frozenset[str] | None = None
        """What the publisher was told last; None before."""
        self._due = clock()
        self._trouble = ""

    def renew(self) -> None:
        """Tell the publisher what open jobs refer to, if that is news or a day old.

        What fails is tried again after a while; no job waits for it.
        """
        now = self._clock()
        wanted = self._ledger.public_images()
        is_news = wanted != self._held and not self._trouble
        if not is_news and now < self._due:
            return
        try:
            self._tell(self._uid, wanted, LEASE_S)
        except (FacilityError, OSError) as error:
            if str(error) != self._trouble:
                log.info("published images are not kept yet: %s", error)
            self._trouble, self._due = str(error), now + _LATER_S
            return
        self._held, self._trouble, self._due = wanted, "", now + RENEWED_S


def lease_uid(settings: Settings) -> str:
    """Return how a ledger calls its need: the same always, and no other's."""
    name = f"{settings.facility_id}\0{settings.ledger}"
    return f"ledger-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
