"""Debian's chromium, driven over its own protocol (CDP) as a person would use it."""

import asyncio
import base64
import contextlib
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # it runs as root in tests
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1400,900",
    "--remote-debugging-port=0",
)


class Page:
    """One tab."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)

    async def call(self, method: str, **parameters: object) -> dict:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.write_message(json.dumps(message))
        while True:
            answer = json.loads(await self._socket.read_message())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> object:
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True
        )
        return result["result"].get("value")

    async def wait_for(self, script: str, timeout_s: float = 60) -> None:
        """Wait until the script gives something true; show the page if it does not."""
        deadline = time.monotonic() + timeout_s
        while not await self.evaluate(script):
            if time.monotonic() > deadline:
                text = await self.evaluate("document.body.innerText")
                raise AssertionError(f"not within {timeout_s} s: {script}\n{text}")
            await asyncio.sleep(0.2)

    async def click(self, element: str) -> None:
        """Press the mouse in the middle of what the script finds."""
        await self.wait_for(f"({element}) != null")
        box = f"({element}).getBoundingClientRect()"
        x, y = [
            await self.evaluate(f"{box}.{side} + {box}.{size} / 2")
            for side, size in (("x", "width"), ("y", "height"))
        ]
        for event in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent",
                type=event,
                x=x,
                y=y,
                button="left",
                clickCount=1,
            )

    async def click_until(self, element: str, condition: str) -> None:
        """Click, and again if the page took no notice: it may have been loading."""
        for _ in range(5):
            await self.click(element)
            with contextlib.suppress(AssertionError):
                await self.wait_for(condition, timeout_s=5)
                return
        await self.wait_for(condition, timeout_s=5)

    async def picture(self) -> bytes:
        shot = await self.call("Page.captureScreenshot")
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    process = await asyncio.create_subprocess_exec(
        "chromium",
        *ARGUMENTS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text().strip():
            assert time.monotonic() < deadline, "chromium did not start"
            await asyncio.sleep(0.1)
        port = port_file.read_text().split()[0]
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/json/list")
        tabs = answer.json()
        tab = next(tab for tab in tabs if tab["type"] == "page")
        socket = await websocket_connect(
            tab["webSocketDebuggerUrl"], max_message_size=1 << 28
        )
        try:
            yield Page(socket)
        finally:
            socket.close()
            while await socket.read_message() is not None:
                pass
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as page:
        yield page
