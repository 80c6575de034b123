"""Gets files of a repository over HTTP, through proxies, from several origins."""

from __future__ import annotations

import itertools
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import httpx

from facility.text import reason
from offload.cache.cvmfs.errors import DamagedObjectError, UntrustedError
from offload.cache.reading.errors import AbsentError, UnreachableError
from offload.cache.reading.outage import Outage
from offload.cache.reading.pace import Pace
from offload.cache.reading.routes import Route, Routes
from offload.cache.reading.settings import DIRECT

Checked = TypeVar("Checked")

_Problem = UnreachableError | AbsentError | DamagedObjectError | UntrustedError
_PROBLEMS = (UnreachableError, AbsentError, DamagedObjectError, UntrustedError)

_RESUMES = 4
"""Times that one answer may break off and be continued."""
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 3.0
_TIMEOUT = httpx.Timeout(20.0, connect=3.0)
_LOOK_TIMEOUT = httpx.Timeout(3.0)
_ANY: dict[str, str] = {}
_NEW = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
_KEPT = {"Cache-Control": "only-if-cached"}
"""A proxy that has it not says so at once (RFC 9111, section 5.2.1.7)."""
_LARGEST = 512 << 20
"""Bytes of a file as it travels; a larger answer is no file of a repository."""


class Transfer:
    """Requests of one repository. Thread-safe; a thread per request at a time.

    Args:
        urls: origins, each the URL of the repository's folder.
        proxies: of each, ``http://HOST:PORT`` or ``DIRECT``.
        connections: to one proxy or origin at the same time.
    """

    def __init__(
        self, urls: Sequence[str], proxies: Sequence[str], connections: int
    ) -> None:
        ways = [None if proxy == DIRECT else proxy for proxy in proxies]
        self._routes = Routes(urls, ways)
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections
        )
        # Loading everybody's certificates takes longer than the first answer.
        is_encrypted = any(url.startswith("https:") for url in (*urls, *proxies))
        context = (
            ssl.create_default_context()
            if is_encrypted
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        self._clients = {
            way: httpx.Client(
                proxy=way,
                limits=limits,
                timeout=_TIMEOUT,
                trust_env=False,
                verify=context,
            )
            for way in dict.fromkeys(ways)
        }
        self._lock = threading.Lock()
        self._pace = Pace()
        self._closed = threading.Event()
        self._outage = Outage()
        self._looking = threading.Lock()
        self._answering: set[str | None] = set()
        """Proxies that were there last time, whatever they said."""

    @property
    def pace(self) -> Pace:
        """How fast the last requests were."""
        return self._pace

    def close(self) -> None:
        """Close connections; who waits for an answer gives up."""
        self._closed.set()
        for client in self._clients.values():
            client.close()

    def get(
        self,
        path: str,
        check: Callable[[bytes], Checked],
        *,
        most: int = _LARGEST,
        max_age_s: int | None = None,
        patience_s: float = 0.0,
        asked: float | None = None,
    ) -> Checked:
        """Return a file's content as ``check`` made it of the bytes that came.

        What ``check`` refuses, and what is not found, is asked for by the other routes,
        then again past every cache on the way. Nothing of it is remembered.

        Args:
            path: below the repository's URL.
            check: raises DamagedObjectError or UntrustedError for what is not genuine.
            most: bytes that it may have.
            max_age_s: how old a proxy's copy may be; ``None`` leaves that to the origin.
            patience_s: for so long it is tried again while nobody answers; once somebody
                has waited in vain, no longer than it takes to see that this goes on.
            asked: since when, monotonic time; now if left out.

        Raises:
            AbsentError: all that answer say that there is no such file.
            DamagedObjectError: nobody has it whole.
            UntrustedError: nobody has a genuine one.
            UnreachableError: nobody answers.
        """
        begun = time.monotonic() if asked is None else asked
        age = _ANY if max_age_s is None else {"Cache-Control": f"max-age={max_age_s}"}
        problem: _Problem | None = None
        for turn in itertools.count():
            if turn > 1 or isinstance(problem, UnreachableError):
                pause = min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0**turn)
                self._closed.wait(pause * random.uniform(0.5, 1.0))
            if self._closed.is_set():
                raise UnreachableError(f"{path}: not asked for any more")
            if patience_s > 0 and self._is_out():
                return self._kept(path, check, most, problem)
            # At first, routes that are known to be broken are spared.
            routes = () if turn else self._routes.usable(time.monotonic())
            problems: list[_Problem] = []
            for route in routes or self._routes.all():
                try:
                    return self._get(route, path, check, most, _NEW if turn else age)
                except UnreachableError as error:
                    self._routes.failed(route, time.monotonic())
                    problems.append(error)
                except (AbsentError, DamagedObjectError, UntrustedError) as error:
                    problems.append(error)
            problem = max(problems, key=_weight)
            is_away = patience_s > 0 and isinstance(problem, UnreachableError)
            is_patient = time.monotonic() - begun < patience_s
            if turn >= _turns(problem) and not (is_away and is_patient):
                if is_away:
                    self._outage.suspect(time.monotonic())
                raise problem
        raise AssertionError("the loop above ends by returning or raising")

    def _is_out(self) -> bool:
        """Whether an outage that is known goes on; of many who ask, one looks."""
        if not self._outage.is_known:
            return False
        with self._looking:
            if self._outage.is_due(time.monotonic()):
                is_answered = any(map(self._answers, self._routes.all()))
                self._outage.looked(time.monotonic(), is_answered=is_answered)
            return self._outage.is_known

    def _answers(self, route: Route) -> bool:
        """Whether there is an origin at the other end, past every cache on the way."""
        from offload.cache.cvmfs.manifest import FILE_NAME  # late: it loads a lot

        try:
            self._body(route, f"{route.url}/{FILE_NAME}", _NEW, timeout=_LOOK_TIMEOUT)
        except UnreachableError:
            return False
        except (AbsentError, DamagedObjectError):
            pass
        self._routes.worked(route)
        return True

    def _kept(
        self,
        path: str,
        check: Callable[[bytes], Checked],
        most: int,
        problem: _Problem | None,
    ) -> Checked:
        """Return what a proxy has while no origin answers."""
        for route in self._routes.all():
            if route.proxy is not None and route.proxy in self._answering:
                with suppress(*_PROBLEMS):
                    return self._get(route, path, check, most, _KEPT, _LOOK_TIMEOUT)
        origins = ", ".join(dict.fromkeys(r.url for r in self._routes.all()))
        raise problem or UnreachableError(f"{origins}: nobody answers, for a while now")

    def _get(
        self,
        route: Route,
        path: str,
        check: Callable[[bytes], Checked],
        most: int,
        headers: Mapping[str, str],
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> Checked:
        begun = time.monotonic()
        body = self._body(route, f"{route.url}/{path}", headers, most, timeout)
        self._routes.worked(route)
        with self._lock:
            self._pace = self._pace.after(len(body), time.monotonic() - begun)
        return check(bytes(body))

    def _body(
        self,
        route: Route,
        url: str,
        headers: Mapping[str, str],
        most: int = _LARGEST,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> bytearray:
        """Return the whole body; what breaks off is continued where it broke."""
        body = bytearray()
        for _ in range(_RESUMES):
            more = {"Range": f"bytes={len(body)}-"} if body else {}
            told = {"Accept-Encoding": "identity", **headers, **more}
            before = len(body)
            try:
                with self._clients[route.proxy].stream(
                    "GET", url, headers=told, timeout=timeout
                ) as answer:
                    self._answering.add(route.proxy)
                    self._judge(answer, route)
                    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                        del body[:]
                    for piece in answer.iter_raw():
                        body += piece
                        if len(body) > most:
                            raise DamagedObjectError(
                                f"{url}: expected at most {most:,} bytes, got more"
                            )
            except httpx.TransportError as error:
                # It may be silent because an origin is, but not of what it has itself.
                if headers is _KEPT or not isinstance(error, httpx.ReadTimeout):
                    self._answering.discard(route.proxy)
                if len(body) <= before:
                    raise UnreachableError(f"{route}: {reason(error)}") from None
            except RuntimeError:  # what httpx raises once its client is closed
                raise UnreachableError(f"{url}: not asked for any more") from None
            else:
                return body
        raise UnreachableError(f"{route}: {url} breaks off again and again")

    @staticmethod
    def _judge(answer: httpx.Response, route: Route) -> None:
        status = answer.status_code
        if status in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
            return
        if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            raise AbsentError(f"{answer.request.url}: not there")
        raise UnreachableError(f"{route}: answers {status} {answer.reason_phrase}")


def _weight(problem: _Problem) -> int:
    """Return which of several problems tells most: wrong, absent, or no answer."""
    match problem:
        case UnreachableError():
            return 0
        case AbsentError():
            return 1
        case _:
            return 2


def _turns(problem: _Problem) -> int:
    """Return how often all routes are tried once more; the last answer counts."""
    return 2 if isinstance(problem, DamagedObjectError) else 1
