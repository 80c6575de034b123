"""What is known of an image, as it travels between a publisher and who asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from offload.cache.publishing.errors import PublishingError


class ImageState(StrEnum):
    """What a publisher knows of an image."""

    PUBLISHED = "published"
    WAITING = "waiting"
    REFUSED = "refused"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """An image, or a name of one, as the publisher sees it now."""

    state: ImageState
    image: str | None
    """Digest of its manifest; None while nobody has looked what a name means."""
    names: tuple[str, ...] = ()
    detail: str = ""
    """Why it waits or was refused; for people."""
    done: int = 0
    total: int = 0
    """Bytes that have come, of those that the publisher has to fetch."""
    path: str | None = None
    """Of its tree, in the repository: ``/.flat/ab/HEX``; None if it is not there."""
    revision: int = 0
    """Of the repository, when this was asked: at a revision this new, it is there."""
    fqrn: str = ""
    asked_at: float | None = None
    """When it was asked for last: seconds since the epoch."""
    pins: tuple[str, ...] = ()
    """Who keeps it, and what for: ``PERSON/WHAT``."""
    leases: tuple[tuple[str, float], ...] = ()
    """Who keeps it for now, and until when: seconds since the epoch."""
    unused_since: float | None = None
    """Since when nothing refers to it, in seconds since the epoch; None if something
    does, or nobody has looked yet. It goes when it has been so for the grace period."""

    @property
    def is_published(self) -> bool:
        """Whether its tree is in the repository."""
        return self.state is ImageState.PUBLISHED

    @property
    def is_final(self) -> bool:
        """Whether waiting changes nothing."""
        return self.state in {ImageState.PUBLISHED, ImageState.REFUSED, ImageState.GONE}

    def without_people(self) -> Self:
        """Return what anybody may know: not who keeps it."""
        return replace(self, pins=(), leases=())

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read what the publisher answers.

        Raises:
            PublishingError: it is something else.
        """
        try:
            tuples: dict[str, Any] = {k: tuple(document[k]) for k in ("names", "pins")}
            tuples["leases"] = tuple((str(w), float(t)) for w, t in document["leases"])
            state = ImageState(document["state"])
            return cls(**{**document, **tuples, "state": state})
        except (TypeError, KeyError, ValueError):
            raise PublishingError("expected the status of an image") from None
