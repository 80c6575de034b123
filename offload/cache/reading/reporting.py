"""Tells the publisher what jobs read of images, so that it makes bundles of that.

Only what has grown much since it was told last is told again. Nobody waits for it, and
nothing fails because of it.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from facility.text import reason
from offload.cache.errors import CacheError
from offload.cache.reading.settings import ReportSettings
from offload.cache.reading.traces import Trace
from offload.snapshot.registry.address import is_loopback

_TIMEOUT = httpx.Timeout(60, connect=5)


class ReportError(CacheError):
    """The publisher was not told; later, then."""


class _RefusedReportError(ReportError):
    """The publisher will not have it, however often it is told."""


def report_traces(folder: Path, settings: ReportSettings) -> int:
    """Tell of the images of a cache that jobs have read much of since; return how many.

    Told in part or twice does no harm. What the publisher will not have is told again
    only once it has grown, too; it keeps nobody from being told of the others.

    Args:
        folder: of the repository's cache, with ``traces``.
        settings: whom to tell.

    Raises:
        ReportError: the publisher is away or says no, the token cannot be read, or the
            disk is full.
    """
    count = 0
    refusal: ReportError | None = None
    try:
        for path in sorted((folder / "traces").glob("[0-9a-f]*")):
            told = folder / "told" / path.name
            trace, known = Trace.load(path), Trace.load(told)
            if trace.is_much_more_than(known):
                try:
                    _tell(settings, f"sha256:{path.name}", path.read_bytes())
                except _RefusedReportError as error:
                    refusal = error
                trace.save(told)
                count += 1
    except OSError as error:
        raise ReportError(f"{error.filename}: {error.strerror}") from None
    if refusal is not None:
        raise refusal
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
    except UnicodeError:
        raise ReportError(
            f"{settings.token}: expected a token, got other bytes"
        ) from None
    except httpx.HTTPError as error:
        raise ReportError(
            f"{settings.url}: cannot be reached: {reason(error)}"
        ) from None
    # Not there any more: there is nothing to tell.
    status = response.status_code
    if status not in {200, 404}:
        kind = _RefusedReportError if status in {400, 413, 422} else ReportError
        raise kind(f"{settings.url}: answers with status {status} to {image[:19]}")
