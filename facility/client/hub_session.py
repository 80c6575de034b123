"""A person's session with the hub, as his browser has it, for programs.

Logs in with the one-time link, starts and stops the person's notebook server and hands
out a :class:`~facility.client.notebook_server.NotebookServer` to work with. Nothing
here knows the hub's secrets; it can do what the person can do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from facility.client.notebook_server import NotebookServer
from facility.errors import FacilityError, NotRunningError, UsageError

_TOKEN_LIFETIME_S = 24 * 3600
_QUICK_S = 30.0
_PATIENCE_S = 30.0
_RETRY_S = 0.5


class ServerStartError(FacilityError):
    """The notebook server did not come up; the line says what the hub says."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step on the way of a server that starts."""

    percent: int
    message: str


class HubSession:
    """One logged-in person at one hub. Made by :meth:`login`."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, user: str) -> None:
        self._client = client
        self._base_url = base_url
        self.user = user
        self._server: NotebookServer | None = None
        self._token_id = ""

    @classmethod
    @asynccontextmanager
    async def login(cls, url: str) -> AsyncIterator[HubSession]:
        """Log in with a one-time link; leaving the context logs out.

        The server that was started keeps running; the session's token is revoked.

        Raises:
            NotRunningError: nobody answers at the link's address.
            UsageError: the link has been used, is too old or is none.
        """
        parts = urlsplit(url)
        base_url = f"{parts.scheme}://{parts.netloc}"
        async with httpx.AsyncClient(base_url=base_url, timeout=_QUICK_S) as client:
            answer = await _ask(client, "GET", url)
            if answer.status_code != httpx.codes.FOUND:
                raise UsageError(
                    f"the hub at {base_url} refused the link (HTTP "
                    f"{answer.status_code}): it has been used or is too old; get a "
                    "new one with 'facility token'"
                )
            # The page after the login sets the cookie that answers the XSRF check.
            await _ask(client, "GET", "/hub/home")
            client.headers["X-XSRFToken"] = _xsrf(client)
            client.headers["Sec-Fetch-Mode"] = "same-origin"
            user = _checked(await _ask(client, "GET", "/hub/api/user")).json()["name"]
            session = cls(client, base_url, user)
            try:
                yield session
            finally:
                await session._logout()

    async def start_server(
        self,
        profile: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        timeout_s: float = 180,
    ) -> NotebookServer:
        """Start the person's server, or find it running, and connect to it.

        A hub that is killed meanwhile is asked again when it is back, for up to 30 s; so
        is one that still ends the server before this one.

        Args:
            profile: name of a profile of ``facility.yaml``; the default if empty.
            on_progress: is called with each step that the hub reports.
            timeout_s: longest time between two signs of life of the hub.

        Raises:
            NotRunningError: the hub went away and did not come back.
            ServerStartError: it did not come up.
            UsageError: there is no such profile.
        """
        loop = asyncio.get_running_loop()
        give_up: float | None = None
        while True:
            try:
                await self._start(profile, on_progress, timeout_s)
                token = await self._mint_token()
            except NotRunningError:
                give_up = give_up or loop.time() + _PATIENCE_S
                if loop.time() > give_up:
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                break
        url = f"{self._base_url}/user/{quote(self.user)}"
        self._server = NotebookServer(url, token)
        return self._server

    async def _start(
        self,
        profile: str | None,
        on_progress: Callable[[Progress], None] | None,
        timeout_s: float,
    ) -> None:
        options = {} if profile is None else {"profile": profile}
        answer = await _ask(
            self._client, "POST", self._path("server"), json=options, timeout=timeout_s
        )
        match answer.status_code:
            case httpx.codes.ACCEPTED:
                await self._follow_progress(on_progress, timeout_s)
            case httpx.codes.CREATED:
                if on_progress is not None:
                    on_progress(Progress(100, "Server ready"))
            case httpx.codes.BAD_REQUEST if "already running" in answer.text:
                pass
            case httpx.codes.BAD_REQUEST if "is pending" in answer.text:
                raise NotRunningError(
                    f"the hub at {self._base_url} is still ending the last server of "
                    f"{self.user}: try again"
                )
            case httpx.codes.BAD_REQUEST:
                raise UsageError(_reason(answer))
            case _:
                raise ServerStartError(
                    f"the server of {self.user} did not start: {_reason(answer)}"
                )

    async def stop_server(self, timeout_s: float = 60) -> None:
        """Stop the person's server, with its kernels; no error if there is none.

        Raises:
            FacilityError: it has not ended after ``timeout_s``.
        """
        await self._disconnect()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + timeout_s
        while True:
            answer = await _ask(
                self._client, "DELETE", self._path("server"), timeout=timeout_s
            )
            if answer.status_code != httpx.codes.ACCEPTED:
                break
            # It is on its way: the hub answers after 10 s at the latest.
            if loop.time() > give_up:
                raise FacilityError(
                    f"the server of {self.user} has not ended after {timeout_s:g} s: "
                    "see 'facility logs hub'"
                )
            await asyncio.sleep(_RETRY_S)
        if answer.status_code not in {
            httpx.codes.NO_CONTENT,
            httpx.codes.NOT_FOUND,
            httpx.codes.BAD_REQUEST,  # it is not running
        }:
            _checked(answer)

    async def _follow_progress(
        self, on_progress: Callable[[Progress], None] | None, timeout_s: float
    ) -> None:
        path = self._path("server/progress")
        async with (
            _told_in_one_line(self._base_url),
            self._client.stream("GET", path, timeout=timeout_s) as events,
        ):
            async for line in events.aiter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line.removeprefix("data:"))
                if event.get("failed"):
                    raise ServerStartError(
                        f"the server of {self.user} did not start: "
                        f"{_brief(event.get('message', 'no reason given'))}"
                    )
                if on_progress is not None:
                    on_progress(
                        Progress(event.get("progress", 0), event.get("message", ""))
                    )
                if event.get("ready"):
                    return
        raise NotRunningError(
            f"the hub at {self._base_url} stopped reporting on the server of "
            f"{self.user}: see 'facility logs hub'"
        )

    async def _mint_token(self) -> str:
        """Get a token for this person's server and nothing else."""
        await self._disconnect()
        answer = await _ask(
            self._client,
            "POST",
            self._path("tokens"),
            json={
                "note": "facility client",
                "expires_in": _TOKEN_LIFETIME_S,
                "scopes": [f"access:servers!user={self.user}"],
            },
        )
        grant = _checked(answer).json()
        self._token_id = grant["id"]
        return str(grant["token"])

    async def _disconnect(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None
        if self._token_id:
            token = self._path(f"tokens/{self._token_id}")
            await _ask(self._client, "DELETE", token)
            self._token_id = ""

    async def _logout(self) -> None:
        try:
            await self._disconnect()
            await _ask(self._client, "GET", "/hub/logout")
        except NotRunningError:
            # The hub is gone, and the session with it.
            return

    def _path(self, what: str) -> str:
        return f"/hub/api/users/{quote(self.user, safe='')}/{what}"


@asynccontextmanager
async def _told_in_one_line(base_url: str) -> AsyncIterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise NotRunningError(
            f"no hub answers at {base_url} ({str(error) or type(error).__name__}): start it "
            "with 'facility up'"
        ) from None


async def _ask(
    client: httpx.AsyncClient, method: str, url: str, **options: Any
) -> httpx.Response:
    async with _told_in_one_line(str(client.base_url).rstrip("/")):
        answer = await client.request(method, url, **options)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise NotRunningError(
            f"the hub behind {answer.url.host}:{answer.url.port} is away: it is being "
            "started, or see 'facility status'"
        )
    return answer


def _xsrf(client: httpx.AsyncClient) -> str:
    for cookie in client.cookies.jar:
        if cookie.name == "_xsrf" and cookie.value:
            return cookie.value
    raise ServerStartError("the hub set no XSRF cookie after the login")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise FacilityError(
            f"{answer.request.method} {answer.request.url.path}: HTTP "
            f"{answer.status_code}, {_reason(answer)}"
        )
    return answer


def _reason(answer: httpx.Response) -> str:
    try:
        body: Any = answer.json()
        text = body["message"]
    except (ValueError, TypeError, KeyError):
        text = answer.reason_phrase
    return _brief(text)


def _brief(text: object) -> str:
    """Return the reason in one line, without what the caller's line says already."""
    return " ".join(str(text).split()).removeprefix("Spawn failed: ")
