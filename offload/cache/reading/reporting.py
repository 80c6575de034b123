"""Tells the publisher what jobs read of images, so that it makes bundles of that.

Only what has grown much since it was told last is told again. Nobody waits for it, and
nothing fails because of it.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from offload.cache.errors import CacheError
from offload.cache.reading.settings import ReportSettings
from offload.cache.reading.traces import Trace
from offload.snapshot.registry.address import is_loopback

_TIMEOUT = httpx.Timeout(60, connect=5)


class ReportError(CacheError):
    """The publisher was not told; later, then."""


def report_traces(folder: Path, settings: ReportSettings) -> int:
    """Tell of the images of a cache that jobs have read much of since; return how many.

    Told in part or twice does no harm.

    Args:
        folder: of the repository's cache, with ``traces``.
        settings: whom to tell.

    Raises:
        ReportError: the publisher is away or says no, or the token cannot be read.
    """
    count = 0
    for path in sorted((folder / "traces").glob("[0-9a-f]*")):
        told = folder / "told" / path.name
        trace, known = Trace.load(path), Trace.load(told)
        if trace.is_much_more_than(known):
            _tell(settings, f"sha256:{path.name}", path.read_bytes())
            trace.save(told)
            count += 1
    return count


def _tell(settings: ReportSettings, image: str, trace: bytes) -> None:
    try:
        if settings.token.stat().st_mode & 0o077:
            raise ReportError(f"{settings.token}: is open to others; run chmod 600")
        token = settings.token.read_text().strip()
        response = httpx.put(
            f"{settings.url}/reports/{image}",
            content=trace,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT,
            trust_env=not is_loopback(httpx.URL(settings.url).netloc.decode()),
        )
    except OSError as error:
        raise ReportError(f"{settings.token}: {error.strerror}") from None
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReportError(f"{settings.url}: cannot be reached: {reason}") from None
    # Not there any more: there is nothing to tell.
    if response.status_code not in {200, 404}:
        raise ReportError(f"{settings.url}: answers with status {response.status_code}")
