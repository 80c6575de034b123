"""One publisher has a folder and an address; who is slow does not keep a connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys

import pytest
import uvicorn

from offload.cache.publishing import listening
from offload.cache.publishing.errors import TakenError
from offload.cache.publishing.listening import PromptProtocol, alone, bound
from offload.cache.publishing.repeats import RepeatFilter
from offload.cache.publishing.settings import PublisherSettings


@pytest.fixture
def settings(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "repository").mkdir()
        yield PublisherSettings(
            fqrn="images.example.org",
            port=taken.getsockname()[1],
            folder=tmp_path / "repository",
            keys=tmp_path / "keys",
            state=tmp_path / "state",
            event_secret=tmp_path / "secret",
            token_key=tmp_path / "key",
            admins=(),
        )


def test_a_second_publisher_does_not_begin(settings, tmp_path):
    settings.save(tmp_path / "settings.json")
    command = [sys.executable, "-m", "offload.cache.publishing"]
    ended = subprocess.run(
        [*command, tmp_path / "settings.json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert f"127.0.0.1:{settings.port} cannot be had" in line
    assert not (settings.state / "queue.sqlite").exists()


def test_one_publisher_has_a_folder(settings, tmp_path):
    other = settings.model_copy(update={"state": tmp_path / "other"})
    taken = pytest.raises(TakenError, match="another publisher works here")
    with alone(other), taken, alone(settings):
        pass
    with alone(settings), pytest.raises(TakenError, match="cannot be had"):
        bound(settings)


@pytest.mark.parametrize(
    ("requests", "rest"), [(0, b""), (0, b"GET"), (1, b"GET / HTTP/1.1\r\n")]
)
async def test_who_never_finishes_a_request_is_put_out(requests, rest, monkeypatch):
    async def empty(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    monkeypatch.setattr(listening, "_HEAD_S", 0.05)
    config = uvicorn.Config(
        empty,
        http=PromptProtocol,
        log_config=None,
        lifespan="off",
        access_log=False,
        timeout_keep_alive=1,
    )
    config.load()
    state = uvicorn.Server(config).server_state
    server = await asyncio.get_running_loop().create_server(
        lambda: PromptProtocol(config=config, server_state=state, app_state={}),
        "127.0.0.1",
        0,
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(requests):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(rest)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        await writer.wait_closed()


def test_a_line_that_repeats_is_logged_once_a_minute():
    now = [0.0]
    repeats = RepeatFilter(lambda: now[0])

    def logged(message: str, *arguments: object) -> str | None:
        record = logging.LogRecord("x", 30, "", 1, message, arguments, None)
        return record.getMessage() if repeats.filter(record) else None

    assert logged("%s is full", "the disk") == "the disk is full"
    assert logged("%s is full", "another disk") == "another disk is full"
    for second in range(1, 60):
        now[0] = second
        assert logged("%s is full", "the disk") is None
    now[0] = 60.0
    line = "the disk is full (and 59 times before)"
    assert logged("%s is full", "the disk") == line
