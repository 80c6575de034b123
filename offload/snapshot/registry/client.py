"""Speaks to one repository of an OCI registry; waits and asks again where it helps.

Distribution Specification 1.1 (opencontainers/distribution-spec). httpx rather than
oras: oras begins a broken upload anew and keeps whole chunks in memory.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from facility.text import reason
from offload.snapshot.registry.address import RegistryAddress
from offload.snapshot.registry.credentials import Credentials
from offload.snapshot.registry.errors import (
    RegistryAddressError,
    RegistryAwayError,
    RegistryError,
    RegistryMissingError,
    RegistryRefusedError,
)
from offload.snapshot.registry.login import Login

_TIMEOUT = httpx.Timeout(60, connect=10)
_CONNECTIONS = 8
_LONGEST_MESSAGE = 200

Result = TypeVar("Result")
Content = Callable[[], Iterator[bytes]]
"""Gives the body of a request, as often as it has to be sent."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try before saying that a registry is away."""

    attempts: int = 5
    """In a row without any progress."""
    first_wait_s: float = 0.5
    """Doubled each time, with some jitter so that clients do not come back as one."""
    longest_wait_s: float = 20

    def wait_s(self, failures: int, error: RegistryAwayError) -> float:
        """Return how long to wait after that many failures (at least one)."""
        doubled_s = self.first_wait_s * 2.0 ** (failures - 1)
        wait_s = doubled_s * random.uniform(0.8, 1.2)
        return min(max(wait_s, error.retry_after_s or 0), self.longest_wait_s)


PATIENCE = Patience()
"""Some ten seconds: the agent, who called, has patience of its own."""


class RegistryClient:
    """One repository; may be used by several threads at once.

    Every method raises :class:`RegistryAwayError` if the registry cannot be reached or
    is out of order, and :class:`RegistryRefusedError` if it says no.

    Args:
        address: the repository.
        credentials: who we are; None is nobody.
        ca: PEM file of certificates to trust besides the system's.
        patience: how long to try.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        address: RegistryAddress,
        credentials: Credentials | None = None,
        *,
        ca: Path | None = None,
        patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self._login = Login(address, credentials)
        self._patience = patience
        self._sleep = sleep
        self._http = httpx.Client(
            verify=_trust(ca),
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=_CONNECTIONS),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def patiently(self, action: Callable[[], Result]) -> Result:
        """Do something idempotent, again and again while the registry is away."""
        failures = 0
        while True:
            try:
                return action()
            except RegistryAwayError as error:
                failures += 1
                self.wait(failures, error)

    def wait(self, failures: int, error: RegistryAwayError) -> None:
        """Wait before the next attempt, or raise the error if there were too many."""
        if failures >= self._patience.attempts:
            raise error
        self._sleep(self._patience.wait_s(failures, error))

    def url(self, path: str) -> str:
        """Return the URL of a resource of the repository."""
        return f"{self.address.root}/{path}"

    def locate(self, location: str) -> str:
        """Return the URL that a ``Location`` means.

        Registries behind a proxy that ends TLS may name themselves by plain http.
        """
        url = urljoin(f"{self.address.root}/", location)
        if urlsplit(url).netloc == self.address.host:
            return f"{self.address.scheme}:{url.partition(':')[2]}"
        return url

    def request(
        self,
        method: str,
        url: str,
        *,
        expect: frozenset[int],
        content: Content | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask once, logging in if need be; return a response with an expected status.

        Raises:
            RegistryError: as the class says; the plain one for what nobody expects.
        """
        with self.stream(
            method, url, expect=expect, content=content, headers=headers
        ) as response:
            with _transport(self.address):
                response.read()
            return response

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        expect: frozenset[int],
        content: Content | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """Ask as :meth:`request` does, and leave the body to the caller."""
        for _ in range(3):  # the first has no token, the second an expired one
            response = self._send(method, url, content, headers or {})
            try:
                if response.status_code != 401 or not self._log_in(response):
                    self._require(response, expect)
                    yield response
                    return
            finally:
                response.close()
        raise self._refusal(response)

    def _send(
        self,
        method: str,
        url: str,
        content: Content | bytes | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        is_ours = urlsplit(url).netloc == self.address.host
        request = self._http.build_request(
            method,
            url,
            content=content() if callable(content) else content,
            headers={**headers, **(self._login.headers() if is_ours else {})},
        )
        with _transport(self.address):
            # httpx takes the token off when it is led to another host.
            return self._http.send(
                request, stream=True, follow_redirects=method in {"GET", "HEAD"}
            )

    def _log_in(self, response: httpx.Response) -> bool:
        with _transport(self.address):
            return self._login.answer(self._http, response)

    def _require(self, response: httpx.Response, expect: frozenset[int]) -> None:
        status = response.status_code
        if status in expect:
            return
        with _transport(self.address):
            response.read()
        if status in {408, 429} or status >= 500:
            raise RegistryAwayError(
                f"{self.address}: answers with status {status}{_message(response)}",
                retry_after_s=_retry_after_s(response),
            )
        if status == 404:
            raise RegistryMissingError(
                f"{response.request.url}: the registry has no such thing"
                f"{_message(response)}"
            )
        if status in {401, 403, 405, 412, 413}:
            raise self._refusal(response)
        raise RegistryError(
            f"{self.address}: expected status {_list(expect)} to "
            f"{response.request.method}, got {status}{_message(response)}"
        )

    def _refusal(self, response: httpx.Response) -> RegistryRefusedError:
        what = {
            401: "it does not know us: log in, for example with skopeo login",
            403: "we may not do this",
            405: "it takes nothing at the moment (read-only)",
            412: "it takes nothing more (quota)",
            413: "that is more than it takes at once",
        }[response.status_code]
        return RegistryRefusedError(
            f"{self.address} refuses to {response.request.method}: {what}"
            f"{_message(response)}"
        )


@contextmanager
def _transport(address: RegistryAddress) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise RegistryAwayError(
            f"{address}: its token server answers with status "
            f"{error.response.status_code}"
        ) from error
    except httpx.RequestError as error:
        why = reason(error)
        if "CERTIFICATE_VERIFY_FAILED" in why:
            raise RegistryRefusedError(
                f"{address}: its certificate is not trusted here; name the file of its "
                f"authority's certificate ({why})"
            ) from error
        raise RegistryAwayError(f"{address}: cannot be reached: {why}") from error


def _trust(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except OSError as error:  # ssl's errors are some
            raise RegistryAddressError(
                f"{ca}: expected certificates in PEM form: {error.strerror or error}"
            ) from None
    return context


def _message(response: httpx.Response) -> str:
    """Return what the registry itself says, in brackets; "Error Codes" of the spec."""
    try:
        first = response.json()["errors"][0]
        text = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return f" ({' '.join(text.split())[:_LONGEST_MESSAGE]})"


def _retry_after_s(response: httpx.Response) -> float | None:
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):  # a date, which nobody sends
        return None


def _list(expected: frozenset[int]) -> str:
    return " or ".join(str(status) for status in sorted(expected))
