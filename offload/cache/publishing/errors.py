"""Why something is not published: one line on what, where and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from facility.errors import NotRunningError, UsageError
from offload.cache.cvmfs.errors import is_full
from offload.cache.errors import CacheError, NoSpaceError


class PublishingError(CacheError):
    """Base: something could not be published now."""


class RefusedImageError(PublishingError, UsageError):
    """It will never be published as it is: trying again changes nothing."""


class NoImageError(RefusedImageError):
    """It is no container image, or one of a form that has no files."""


class UnsafeImageError(RefusedImageError):
    """A layer holds what may not be published, or reaches out of its tree."""


class PrivateImageError(RefusedImageError):
    """It is the snapshot of a person, and nothing says that it may be seen by all."""


class MissingImageError(PublishingError, UsageError):
    """No such image is published or waits to be."""


class RefusedEventError(PublishingError, UsageError):
    """A message does not come from whom it should, or cannot be read."""


class RefusedRequestError(PublishingError, UsageError):
    """What was asked of the publisher makes no sense to it."""


class ShareError(NoSpaceError):
    """Somebody would take what is left for others."""


class SlowError(PublishingError):
    """Somebody takes too long to say what he wants."""


class TakenError(PublishingError, UsageError):
    """Another process has the folder or the address of this publisher."""


class PublisherAwayError(PublishingError, NotRunningError):
    """The publisher cannot be reached; later it may work, as it is."""


@contextmanager
def room_for_notes() -> Iterator[None]:
    """Turn SQLite's words for a full disk into ours."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps it
        if isinstance(cause, sqlite3.Error) and is_full(cause):
            raise NoSpaceError(
                "the publisher's disk is full, or fails; later it may work"
            ) from None
        raise
