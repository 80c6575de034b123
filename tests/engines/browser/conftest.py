"""Debian's chromium, driven over its own protocol (CDP) as a person would use it."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
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

PLACE = """(() => {{
  const found = {element};
  if (found == null) return null;
  const box = found.getBoundingClientRect();
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  return found.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
}})()"""
"""Where the middle of an element is, if the mouse would reach it there."""


class PageLeftError(Exception):
    """The page gave way to the next one while it was asked."""


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
                if "context" in answer.get("error", {}).get("message", ""):
                    raise PageLeftError
                assert "error" not in answer, answer
                return answer["result"]

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> object:
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True
        )
        return result["result"].get("value")

    async def wait_for(self, script: str, timeout_s: float = 120) -> object:
        """Return what the script gives once it is true; show the page if it never is."""
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(PageLeftError):
                if value := await self.evaluate(script):
                    return value
            if time.monotonic() > deadline:
                text = await self.evaluate("document.body.innerText")
                raise AssertionError(f"not within {timeout_s} s: {script}\n{text}")
            await asyncio.sleep(0.2)

    async def click(self, element: str) -> None:
        """Press the mouse in the middle of what the script finds, once it is at rest."""
        script = PLACE.format(element=element)
        place = before = None
        while place is None or place != before:
            await asyncio.sleep(0.1)
            before, place = place, await self.wait_for(script)
        x, y = place
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
                await self.wait_for(condition, timeout_s=15)
                return
        await self.wait_for(condition, timeout_s=15)

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
        tabs: list[dict] = []
        async with httpx.AsyncClient(timeout=60) as client:
            while not tabs:  # it listens before it has opened one
                assert time.monotonic() < deadline, "chromium has no tab"
                answer = await client.get(f"http://127.0.0.1:{port}/json/list")
                tabs = [tab for tab in answer.json() if tab["type"] == "page"]
        (tab,) = tabs
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
        # In /tmp, where it leaves it.
        link = profile / "SingletonSocket"
        places = [link.readlink().parent] if link.is_symlink() else []
        process.terminate()
        await process.wait()
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as page:
        yield page


@pytest.fixture
def first_visit(tmp_path: Path) -> Iterator[None]:
    """Have JupyterLab show what it shows somebody who was never there.

    What is open, it shows again the next time: no launcher, and another side bar.
    """
    kept, aside = Path.home() / ".jupyter/lab/workspaces", tmp_path / "workspaces"
    if kept.exists():
        shutil.move(kept, aside)
    yield
    shutil.rmtree(kept, ignore_errors=True)
    if aside.exists():
        shutil.move(aside, kept)
