"""Asks a plugin: interLink's calls, and those of our own plugins.

Works with any plugin that speaks the protocol; the calls of :mod:`.extensions` raise
:class:`UnsupportedError` with one that is not ours. No call is tried again here: who
calls knows whether and when that is right (all of ours may be repeated).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

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
from offload.interlink.extensions import (
    PREFIX,
    Blob,
    BlobsWanted,
    Changes,
    MissingBlob,
    MissingBlobs,
    Received,
    SystemInfo,
)
from offload.interlink.messages import (
    CreateStruct,
    LogStruct,
    PingResponse,
    PodStatus,
    RetrievedPodData,
    read_statuses,
)
from offload.interlink.pod import Pod
from offload.interlink.wire import Message

M = TypeVar("M", bound=Message)

LARGEST_ANSWER = 256 * 2**20
"""Bytes that are held at a time, of what does not go to a file."""

_JSON = {"Content-Type": "application/json"}
_CREATED = TypeAdapter(tuple[CreateStruct, ...])


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes that are on their way, from :attr:`offset` on."""

    offset: int
    total: int | None
    """Length of the whole thing; ``None`` if the plugin did not say."""
    digest: str | None
    """``sha256:...`` of the whole thing, if the plugin said."""
    chunks: AsyncIterator[bytes]


class PluginClient:
    """One plugin. Use as ``async with PluginClient(address) as plugin``.

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
        timeout_s: float = 30.0,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    # interLink's own calls

    async def create(
        self, pod: RetrievedPodData, *, as_list: bool = False
    ) -> CreateStruct:
        """Hand a pod over; the same UID again changes nothing at a plugin of ours.

        Args:
            pod: The pod.
            as_list: Send a list of one, as plugins older than 0.4 want it.

        Raises:
            MissingBlobsError: its snapshot is not at the site yet.
            ImpossibleError: the site can never run it.
            NoSpaceError: the site has no room.
        """
        body = b"[" + pod.to_wire() + b"]" if as_list else pod.to_wire()
        answers = await self._create(body)
        if len(answers) != 1:
            raise MalformedAnswerError(
                f"{self.address}: expected one answer to /create, got {len(answers)}"
            )
        return answers[0]

    async def create_many(
        self, pods: Sequence[RetrievedPodData]
    ) -> tuple[CreateStruct, ...]:
        """Hand several pods over in one request (plugins of ours): all, or an error.

        Raises:
            As :meth:`create`; then none of them was accepted.
        """
        body = b"[" + b",".join(pod.to_wire() for pod in pods) + b"]"
        return await self._create(body)

    async def _create(self, body: bytes) -> tuple[CreateStruct, ...]:
        content = await self._ask("POST", "/create", body)
        with self._well_formed("/create"):
            if content.lstrip()[:1] == b"[":
                return _CREATED.validate_json(content)
            return (CreateStruct.model_validate_json(content),)

    async def delete(self, pod: Pod) -> None:
        """Ask that a pod be ended and forgotten; fine if it is gone already.

        With a plugin of ours the job is certain to end once this has returned. When it
        has, :meth:`status` leaves it out and :meth:`changes` has it in ``gone``.
        """
        try:
            await self._ask("DELETE", "/delete", pod.to_wire())
        except UnknownPodError:
            return

    async def status(self, pods: Iterable[Pod]) -> tuple[PodStatus, ...]:
        """Return what these pods do; a pod that the plugin does not know is left out.

        Raises:
            ValueError: no pod was given; that would be a :meth:`ping`.
        """
        asked = [pod.to_wire() for pod in pods]
        if not asked:
            raise ValueError("expected at least one pod to ask about, got none")
        content = await self._ask("GET", "/status", b"[" + b",".join(asked) + b"]")
        with self._well_formed("/status"):
            return read_statuses(content)

    async def ping(self) -> PingResponse:
        """Return what the site has; plugins may answer with text only."""
        content = await self._ask("GET", "/status", b"[]")
        try:
            return PingResponse.model_validate_json(content)
        except ValidationError:
            text = content.decode(errors="replace").strip()
            return PingResponse(status=text)

    async def logs(self, wanted: LogStruct) -> bytes:
        """Return (a part of) a container's log as the plugin has it now."""
        return await self._ask("GET", "/getLogs", wanted.to_wire())

    @asynccontextmanager
    async def follow_logs(
        self, wanted: LogStruct
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield a container's log as it grows (with ``Opts.Follow``)."""
        async with self._stream(
            "GET", "/getLogs", content=wanted.to_wire(), headers=_JSON
        ) as response:
            yield self._chunks(response)

    # what our own plugins can do, too

    async def system_info(self) -> SystemInfo:
        """Return what the site is."""
        content = await self._ask("GET", "/system-info")
        return self._read(SystemInfo, content, "/system-info")

    async def changes(self, since: int, *, timeout_s: float = 30.0) -> Changes:
        """Return pods that changed after ``since``, waiting for the first.

        Args:
            since: The ``sequence`` of the answer before; 0 asks for all pods.
            timeout_s: How long the plugin waits before it answers with none.
        """
        content = await self._ask(
            "GET",
            f"{PREFIX}/changes",
            parameters={"since": str(since), "timeout_s": str(timeout_s)},
            patience_s=timeout_s + self._timeout_s,
        )
        return self._read(Changes, content, f"{PREFIX}/changes")

    async def missing_blobs(self, blobs: Iterable[Blob]) -> tuple[MissingBlob, ...]:
        """Return which of these blobs the site has not, and where to go on."""
        body = BlobsWanted(blobs=tuple(blobs)).to_wire()
        content = await self._ask("POST", f"{PREFIX}/blobs/missing", body)
        return self._read(MissingBlobs, content, f"{PREFIX}/blobs/missing").missing

    async def send_blob(
        self, blob: Blob, chunks: AsyncIterable[bytes], *, offset: int = 0
    ) -> None:
        """Send the rest of a blob; what arrived stays there if this is cut off.

        Args:
            blob: Which one; the site checks the digest at the end.
            chunks: Its bytes from ``offset`` on.
            offset: How many bytes the site has.

        Raises:
            WrongOffsetError: the site has another number of bytes; it says which.
            ImpossibleError: the bytes have another digest; the site has dropped them.
            NoSpaceError: the site has no room.
        """
        headers = {
            "Upload-Offset": str(offset),
            "Upload-Length": str(blob.size),
            "Content-Type": "application/offset+octet-stream",
        }
        path = f"{PREFIX}/blobs/{blob.digest}"
        async with self._stream("PATCH", path, content=chunks, headers=headers):
            pass

    @asynccontextmanager
    async def outputs(self, uid: str, *, offset: int = 0) -> AsyncIterator[Download]:
        """Fetch the outputs pack of a pod from ``offset`` on.

        Raises:
            NotReadyError: the job has not ended, or its outputs are not packed yet.
            UnknownPodError: no such pod, or its outputs were dropped after receipt.
        """
        async with self._download(f"{PREFIX}/pods/{uid}/outputs", offset) as download:
            yield download

    async def acknowledge_outputs(self, uid: str, digest: str) -> None:
        """Say that the outputs are safe at home: the site may drop them."""
        body = Received(digest=digest).to_wire()
        await self._ask("POST", f"{PREFIX}/pods/{uid}/outputs/received", body)

    @asynccontextmanager
    async def log_file(
        self, uid: str, container: str, *, offset: int = 0
    ) -> AsyncIterator[Download]:
        """Fetch the raw bytes of a container's log from ``offset`` on.

        An offset at or beyond the end gives no bytes: the log may grow later.
        """
        path = f"{PREFIX}/pods/{uid}/logs/{container}"
        async with self._download(path, offset) as download:
            yield download

    # how it is asked

    @asynccontextmanager
    async def _download(self, path: str, offset: int) -> AsyncIterator[Download]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._stream("GET", path, headers=headers) as response:
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
            yield Download(start, total_bytes, digest, self._chunks(response))

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> bytes:
        async with self._stream(
            method,
            path,
            content=body,
            headers=_JSON if body is not None else {},
            parameters=parameters,
            patience_s=patience_s,
        ) as response:
            return await self._all(response)

    @asynccontextmanager
    async def _stream(
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
            timeout=httpx.Timeout(self._timeout_s, read=patience_s or self._timeout_s),
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

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx.TransportError as error:
            request = response.request
            raise self._unreachable(request.method, request.url.path, error) from error

    async def _all(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in self._chunks(response):
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
            with self._well_formed(request):
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

    def _read(self, kind: type[M], content: bytes, path: str) -> M:
        with self._well_formed(path):
            return kind.model_validate_json(content)

    def _well_formed(self, path: str) -> _WellFormed:
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
