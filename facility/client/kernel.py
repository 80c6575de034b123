"""One kernel of a notebook server, over its websocket.

Protocol: "Messaging in Jupyter" 5.3, as JSON text frames (the default wire protocol of
``api/kernels/ID/channels``).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from facility.errors import FacilityError

_LARGEST_MESSAGE_BYTES = 2**30
_CONNECT_S = 30.0


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
    """A connected kernel that executes one piece of code at a time."""

    def __init__(self, socket: WebSocketClientConnection, kernel_id: str) -> None:
        self._socket = socket
        self._id = kernel_id
        self._session = uuid.uuid4().hex

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, server_url: str, kernel_id: str, token: str
    ) -> AsyncIterator[Kernel]:
        """Connect to a running kernel; leaving the context leaves it running.

        Raises:
            KernelError: the server does not let us in, or there is no such kernel.
        """
        request = HTTPRequest(
            f"ws{server_url.removeprefix('http')}/api/kernels/{kernel_id}/channels",
            headers={"Authorization": f"token {token}"},
            connect_timeout=_CONNECT_S,
        )
        try:
            socket = await websocket_connect(
                request, max_message_size=_LARGEST_MESSAGE_BYTES
            )
        except (HTTPClientError, OSError) as error:
            raise KernelError(f"kernel {kernel_id}: no connection ({error})") from None
        try:
            yield cls(socket, kernel_id)
        finally:
            socket.close()

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
        while True:
            frame = await self._socket.read_message()
            if frame is None:
                raise KernelError(
                    f"kernel {self._id}: the connection was lost (server or proxy "
                    "ended)"
                )
            # Binary frames carry buffers of widgets, which outputs do not need.
            if isinstance(frame, str):
                return Message.parse(frame)
            await asyncio.sleep(0)
