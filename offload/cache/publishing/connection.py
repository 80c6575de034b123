"""The line to a publisher: what is asked over HTTP, and what its refusals mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from facility.text import reason
from offload.cache.publishing.errors import (
    MissingImageError,
    PublisherAwayError,
    PublishingError,
    RefusedEventError,
    RefusedImageError,
    RefusedRequestError,
)
from offload.snapshot.registry.address import is_loopback

_TIMEOUT = httpx.Timeout(90, connect=5)


class Connection:
    """One publisher.

    Args:
        url: ``http://HOST:PORT``.
        token: who we are, for what not everybody may; None is nobody.

    Raises:
        PublishingError: the token would travel where others can read it.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise PublishingError(f"publisher: expected http://HOST:PORT, got {url!r}")
        if (
            token is not None
            and parts.scheme == "http"
            and not is_loopback(parts.netloc)
        ):
            raise PublishingError(
                f"publisher {url}: a token would travel where others can read it; use "
                "https"
            )
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url,
            headers=headers,
            timeout=_TIMEOUT,
            # On this machine nobody is in between.
            trust_env=not is_loopback(parts.netloc),
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Ask, and return the document that is answered.

        Raises:
            PublisherAwayError: it cannot be reached, or cannot do it now.
            PublishingError: it says no, or answers something else.
        """
        response = self.ask(method, path, **arguments)
        if response.status_code >= 300:
            raise self.refusal(response)
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise PublishingError(
                f"publisher {self._url}: expected JSON, got something else"
            )
        return document

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask, and return the answer, whatever it is.

        Raises:
            PublisherAwayError: it cannot be reached.
            RefusedRequestError: what is asked cannot be sent.
        """
        try:
            return self._http.request(method, path, **arguments)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise RefusedRequestError(
                f"publisher {self._url}: expected a shorter name, of plain letters"
            ) from error
        except httpx.HTTPError as error:
            raise PublisherAwayError(
                f"publisher {self._url}: cannot be reached: {reason(error)}"
            ) from error

    def refusal(self, response: httpx.Response) -> PublishingError:
        """Return what an answer means that says no."""
        try:
            detail = str(response.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"answers with status {response.status_code}"
        line = f"publisher {self._url}: {detail}"
        match response.status_code:
            case 401 | 403:
                return RefusedEventError(line)
            case 404:
                return MissingImageError(line)
            case 422:
                return RefusedImageError(line)
            case status if status >= 500:
                return PublisherAwayError(line)
        return RefusedRequestError(line)
