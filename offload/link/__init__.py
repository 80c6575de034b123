"""How a site is reached: it dials in by SSH, or the facility logs in there."""

from offload.link.errors import LinkError, LinkRefusedError, PausedError
from offload.link.state import Link, Paused, Reachable, State

__all__ = [
    "Link",
    "LinkError",
    "LinkRefusedError",
    "Paused",
    "PausedError",
    "Reachable",
    "State",
]
