"""Asks a plugin: interLink's calls, and those of our own plugins.

Works with any plugin that speaks the protocol; the calls of :mod:`.extensions` raise
:class:`UnsupportedError` with one that is not ours. No call is tried again here: who
calls knows whether and when that is right (all of ours may be repeated).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from pydantic import TypeAdapter, ValidationError

from offload.interlink.connection import JSON, Connection, Download
from offload.interlink.errors import MalformedAnswerError, UnknownPodError
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

_CREATED = TypeAdapter(tuple[CreateStruct, ...])


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
        self._plugin = Connection(
            address, timeout_s=timeout_s, headers=headers, tls=tls
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._plugin.close()

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
        content = await self._plugin.ask("POST", "/create", body)
        with self._plugin.well_formed("/create"):
            if content.lstrip()[:1] == b"[":
                return _CREATED.validate_json(content)
            return (CreateStruct.model_validate_json(content),)

    async def delete(self, pod: Pod) -> None:
        """Ask that a pod be ended and forgotten; fine if it is gone already.

        With a plugin of ours the job is certain to end once this has returned. When it
        has, :meth:`status` leaves it out and :meth:`changes` has it in ``gone``.
        """
        try:
            await self._plugin.ask("DELETE", "/delete", pod.to_wire())
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
        content = await self._plugin.ask(
            "GET", "/status", b"[" + b",".join(asked) + b"]"
        )
        with self._plugin.well_formed("/status"):
            return read_statuses(content)

    async def ping(self) -> PingResponse:
        """Return what the site has; plugins may answer with text only."""
        content = await self._plugin.ask("GET", "/status", b"[]")
        try:
            return PingResponse.model_validate_json(content)
        except ValidationError:
            text = content.decode(errors="replace").strip()
            return PingResponse(status=text)

    async def logs(self, wanted: LogStruct) -> bytes:
        """Return (a part of) a container's log as the plugin has it now."""
        return await self._plugin.ask("GET", "/getLogs", wanted.to_wire())

    @asynccontextmanager
    async def follow_logs(
        self, wanted: LogStruct
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield a container's log as it grows (with ``Opts.Follow``)."""
        async with self._plugin.stream(
            "GET", "/getLogs", content=wanted.to_wire(), headers=JSON
        ) as response:
            yield self._plugin.chunks(response)

    # what our own plugins can do, too

    async def system_info(self) -> SystemInfo:
        """Return what the site is."""
        content = await self._plugin.ask("GET", "/system-info")
        return self._plugin.read(SystemInfo, content, "/system-info")

    async def changes(self, since: int, *, timeout_s: float = 30.0) -> Changes:
        """Return pods that changed after ``since``, waiting for the first.

        Args:
            since: The ``sequence`` of the answer before; 0 asks for all pods.
            timeout_s: How long the plugin waits before it answers with none.
        """
        content = await self._plugin.ask(
            "GET",
            f"{PREFIX}/changes",
            parameters={"since": str(since), "timeout_s": str(timeout_s)},
            patience_s=timeout_s + self._plugin.timeout_s,
        )
        return self._plugin.read(Changes, content, f"{PREFIX}/changes")

    async def missing_blobs(
        self, blobs: Iterable[Blob], image: str = ""
    ) -> tuple[MissingBlob, ...]:
        """Return which of these blobs the site has not, and where to go on.

        Args:
            blobs: which.
            image: see :class:`BlobsWanted`.
        """
        body = BlobsWanted(blobs=tuple(blobs), image=image).to_wire()
        content = await self._plugin.ask("POST", f"{PREFIX}/blobs/missing", body)
        return self._plugin.read(
            MissingBlobs, content, f"{PREFIX}/blobs/missing"
        ).missing

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
        async with self._plugin.stream("PATCH", path, content=chunks, headers=headers):
            pass

    @asynccontextmanager
    async def outputs(self, uid: str, *, offset: int = 0) -> AsyncIterator[Download]:
        """Fetch the outputs pack of a pod from ``offset`` on.

        Raises:
            NotReadyError: the job has not ended, or its outputs are not packed yet.
            UnknownPodError: no such pod, or its outputs were dropped after receipt.
        """
        async with self._plugin.download(
            f"{PREFIX}/pods/{uid}/outputs", offset
        ) as download:
            yield download

    async def acknowledge_outputs(self, uid: str, digest: str) -> None:
        """Say that the outputs are safe at home: the site may drop them."""
        body = Received(digest=digest).to_wire()
        await self._plugin.ask("POST", f"{PREFIX}/pods/{uid}/outputs/received", body)

    @asynccontextmanager
    async def log_file(
        self, uid: str, container: str, *, offset: int = 0
    ) -> AsyncIterator[Download]:
        """Fetch the raw bytes of a container's log from ``offset`` on.

        An offset at or beyond the end gives no bytes: the log may grow later.
        """
        path = f"{PREFIX}/pods/{uid}/logs/{container}"
        async with self._plugin.download(path, offset) as download:
            yield download
