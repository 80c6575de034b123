"""How a plugin is asked: requests, streams, and refusals as errors of ours."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import httpx
from pydantic import ValidationError

from offload.interlink.errors import (
    ImpossibleError,
    MalformedAnswerError,
    MissingBlobsError,
    NoSpaceError,
    NotReadyError,
    PluginRefusedError,
    PluginUnreachableError,
    UnknownPodError,
    UnsupportedError,
    WrongOffsetError,
)
from offload.interlink.wire import Message

M = TypeVar("M", bound=Message)

LARGEST_ANSWER = 256 * 2**20
"""Bytes that are held at a time, of what does not go to a file."""

JSON = {"Content-Type": "application/json"}
"""Headers of a request with a body in JSON."""


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes that are on their way, from :attr:`offset` on."""

    offset: int
    total: int | None
    """Length of the whole thing; ``None`` if the plugin did not say."""
    digest: str | None
    """``sha256:...`` of the whole thing, if the plugin said."""
    chunks: AsyncIterator[bytes]


class Connection:
    """To one plugin; requests may overlap.

    Args:
        address: ``unix:///path/of.sock``, ``http://host:port`` or ``https://...``.
        timeout_s: For connecting and for each silence of the plugin.
        headers: Sent with every request, such as an authorization.
        tls: Whom to trust with https, and who we are.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        socket = (
            address.removeprefix("unix://") if address.startswith("unix:") else None
        )
        transport = (
            httpx.AsyncHTTPTransport(uds=socket)
            if socket is not None
            else httpx.AsyncHTTPTransport(verify=tls if tls is not None else True)
        )
        self._http = httpx.AsyncClient(
            base_url="http://plugin" if socket is not None else address.rstrip("/"),
            transport=transport,
            timeout=timeout_s,
            # What few bytes on the wire become in memory is not for a site to choose.
            headers={"Accept-Encoding": "identity", **(headers or {})},
            # A proxy is for the web, not for sites; and no password from ~/.netrc.
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def download(self, path: str, offset: int) -> AsyncIterator[Download]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self.stream("GET", path, headers=headers) as response:
            etag = response.headers.get("ETag", "").strip('"')
            digest = etag if etag.startswith("sha256:") else None
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                total = response.headers.get("Content-Range", "").rpartition("/")[2]
                known = int(total) if total.isdecimal() else None
                yield Download(offset, known, digest, _nothing())
                return
            start = offset if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
            length = response.headers.get("Content-Length")
            total_bytes = start + int(length) if length is not None else None
            yield Download(start, total_bytes, digest, self.chunks(response))

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> bytes:
        async with self.stream(
            method,
            path,
            content=body,
            headers=JSON if body is not None else {},
            parameters=parameters,
            patience_s=patience_s,
        ) as response:
            return await self._all(response)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        content: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str],
        parameters: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        request = self._http.build_request(
            method,
            path,
            content=content,
            headers=dict(headers),
            params=dict(parameters or {}),
            timeout=httpx.Timeout(self.timeout_s, read=patience_s or self.timeout_s),
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise self._unreachable(method, path, error) from error
        try:
            is_past_end = (
                response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
            )
            if not response.is_success and not is_past_end:
                await self._refuse(f"{method} {path}", response)
            yield response
        finally:
            await response.aclose()

    async def chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx.TransportError as error:
            request = response.request
            raise self._unreachable(request.method, request.url.path, error) from error

    async def _all(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in self.chunks(response):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise MalformedAnswerError(
                    f"{self.address}{response.request.url.path}: expected at most "
                    f"{LARGEST_ANSWER:,} bytes, got more"
                )
        return bytes(content)

    def _unreachable(
        self, method: str, path: str, error: Exception
    ) -> PluginUnreachableError:
        why = " ".join(str(error).split()) or type(error).__name__
        return PluginUnreachableError(
            f"no answer from plugin {self.address} to {method} {path}: {why}"
        )

    async def _refuse(self, request: str, response: httpx.Response) -> NoReturn:
        content = await self._all(response)
        text = content.decode(errors="replace")
        problem: dict[str, object] = {}
        is_problem = "problem+json" in response.headers.get("Content-Type", "")
        if is_problem:
            with self.well_formed(request):
                document = json.loads(content)
                problem = document if isinstance(document, dict) else {}
        status = response.status_code
        kinds: dict[int, type[PluginRefusedError]] = {
            404: UnknownPodError if is_problem else UnsupportedError,
            405: UnsupportedError,
            422: ImpossibleError if is_problem else PluginRefusedError,
            424: MissingBlobsError,
            425: NotReadyError,
            507: NoSpaceError,
        }
        offset = response.headers.get("Upload-Offset", "")
        if status == httpx.codes.CONFLICT and offset.isdecimal():
            raise WrongOffsetError(request, status, problem, text, int(offset))
        raise kinds.get(status, PluginRefusedError)(request, status, problem, text)

    def read(self, kind: type[M], content: bytes, path: str) -> M:
        with self.well_formed(path):
            return kind.model_validate_json(content)

    def well_formed(self, path: str) -> _WellFormed:
        return _WellFormed(f"{self.address}{path}")


class _WellFormed:
    """Turns what a parser says into one line about who sent it."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise MalformedAnswerError(
                f"{self._where}: expected the protocol's answer, got an error"
                f" at {place or 'its beginning'}: {first['msg']}"
            ) from error
        if isinstance(error, json.JSONDecodeError):
            raise MalformedAnswerError(
                f"{self._where}: expected JSON, got an error: {error.msg}"
            ) from error


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in tuple[bytes, ...]():
        yield chunk
