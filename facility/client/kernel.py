"""One kernel of a notebook server, over its websocket.

Protocol: "Messaging in Jupyter" 5.3, as JSON text frames (the default wire protocol of
``api/kernels/ID/channels``).
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClientConnection, websocket_connect

from facility.errors import FacilityError

_LARGEST_MESSAGE_BYTES = 2**30
_CONNECT_S = 30.0
_RECONNECT_S = 30.0
_RETRY_S = 0.5


class KernelError(FacilityError):
    """The kernel died, was lost or took too long."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a kernel sends: the parts that matter to who executes cells."""

    kind: str
    channel: str
    parent: str
    """Id of the request that it answers; empty if none."""
    content: dict[str, Any]
    metadata: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> Message:
        """Read one text frame."""
        raw = json.loads(text)
        return cls(
            kind=raw["header"]["msg_type"],
            channel=raw.get("channel") or "",
            parent=(raw.get("parent_header") or {}).get("msg_id", ""),
            content=raw.get("content") or {},
            metadata=raw.get("metadata") or {},
        )


class Kernel:
    """A connected kernel that executes one piece of code at a time.

    A connection that is lost (a proxy was started again) is made again: meanwhile the
    server keeps what the kernel says. Only what was inside the proxy is lost with it.
    """

    def __init__(self, server_url: str, kernel_id: str, token: str) -> None:
        self._session = uuid.uuid4().hex
        self._id = kernel_id
        # The server recognises who comes back by this session.
        self._url = (
            f"ws{server_url.removeprefix('http')}/api/kernels/{kernel_id}/channels"
            f"?session_id={self._session}"
        )
        self._token = token
        self._socket: WebSocketClientConnection | None = None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, server_url: str, kernel_id: str, token: str
    ) -> AsyncIterator[Kernel]:
        """Connect to a running kernel; leaving the context leaves it running.

        Raises:
            KernelError: the server does not let us in, or there is no such kernel.
        """
        kernel = cls(server_url, kernel_id, token)
        await kernel._open(patience_s=0)
        try:
            yield kernel
        finally:
            kernel._close()

    async def _open(self, *, patience_s: float) -> None:
        self._close()
        request = HTTPRequest(
            self._url,
            headers={"Authorization": f"token {self._token}"},
            connect_timeout=_CONNECT_S,
        )
        end = time.monotonic() + patience_s
        while True:
            try:
                self._socket = await websocket_connect(
                    request, max_message_size=_LARGEST_MESSAGE_BYTES
                )
            except (HTTPClientError, OSError, StreamClosedError) as error:
                if time.monotonic() >= end:
                    raise KernelError(
                        f"kernel {self._id}: no connection to its server ({error})"
                    ) from None
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def execute(self, code: str) -> AsyncIterator[Message]:
        """Run code and yield what it says, in order, until the kernel is idle again.

        Raises:
            KernelError: the kernel died or the connection was lost.
        """
        request = uuid.uuid4().hex
        await self._send(
            request,
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": True,
            },
        )
        idle = replied = False
        while not (idle and replied):
            message = await self._receive()
            state = message.content.get("execution_state")
            if message.kind == "status" and state in {"restarting", "dead"}:
                raise KernelError(
                    f"kernel {self._id} died while it executed: it was killed, or ran "
                    "out of memory"
                )
            if message.parent != request:
                continue
            if message.kind == "status":
                idle = idle or state == "idle"
            elif message.kind == "execute_reply":
                replied = True
            yield message

    async def _send(self, id_: str, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None, "used outside of connect()"
        await self._socket.write_message(
            json.dumps(
                {
                    "channel": "shell",
                    "header": {
                        "msg_id": id_,
                        "msg_type": kind,
                        "session": self._session,
                        "username": "",
                        "version": "5.3",
                    },
                    "parent_header": {},
                    "metadata": {},
                    "content": content,
                }
            )
        )

    async def _receive(self) -> Message:
        assert self._socket is not None, "used outside of connect()"
        while True:
            frame = await self._socket.read_message()
            if frame is None:
                await self._open(patience_s=_RECONNECT_S)
            # Binary frames carry buffers of widgets, which outputs do not need.
            elif isinstance(frame, str):
                return Message.parse(frame)
