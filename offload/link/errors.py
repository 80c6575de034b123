"""What can go wrong on the way to a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facility.errors import FacilityError, UsageError

if TYPE_CHECKING:  # states raise these errors
    from offload.link.state import Paused


class LinkError(FacilityError):
    """A site cannot be reached, or the way there is not as it should be."""


class LinkRefusedError(LinkError, UsageError):
    """Keys, files or an address that a person gave cannot be used."""

    exit_code = UsageError.exit_code


class PausedError(LinkError):
    """Nothing can be sent to the site now; whatever waits for it is kept."""

    def __init__(self, paused: Paused) -> None:
        self.paused = paused
        super().__init__(str(paused))
