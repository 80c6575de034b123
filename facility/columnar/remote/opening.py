"""What is asked of a remote file while it is opened, by whoever: once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

HEAD_BYTES = 4096
"""Of the beginning: what the file is, and where its metadata are."""


@dataclass(frozen=True, slots=True)
class RemoteInfo:
    """What a server says of a file without sending it."""

    size_bytes: int
    modified_ns: int
    """0 if the server does not say."""
    etag: str
    """HTTP's, or empty."""


@dataclass(slots=True)
class Known:
    """Of one file."""

    info: RemoteInfo | None = None
    head: bytes | None = None
    """Its first :data:`HEAD_BYTES`, or all of it."""


_known: ContextVar[dict[str, Known] | None] = ContextVar("known", default=None)


@contextmanager
def one_opening() -> Iterator[None]:
    """Let those who open a file, inside and in this thread, share what they learn.

    A server at 20 ms is asked twice instead of five times. Not for longer than an
    opening: a file may change.
    """
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def known_of(url: str) -> Known | None:
    """Return what is known of a file, to be added to; none outside of an opening."""
    known = _known.get()
    return None if known is None else known.setdefault(url, Known())
