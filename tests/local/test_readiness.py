"""When a process counts as ready, and when as silent. Times are made short."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from facility.local import readiness
from facility.local.table import ProcessSpec
from offload.jobs.local_http import connectable


class Server:
    """Answers each request with ``status``; with 0 not at all."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[bytes] = []
        self.third = asyncio.Event()
        self.port = 0

    async def _serve(self, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            self.requests.append(head)
            if len(self.requests) == 3:
                self.third.set()
            if not self.status:
                await asyncio.sleep(60)
            reply = f"HTTP/1.1 {self.status} x\r\nContent-Length: 0\r\n\r\n"
            writer.write(reply.encode())

    @asynccontextmanager
    async def running(self):
        handlers = set()

        async def handle(reader, writer):
            handlers.add(asyncio.current_task())
            try:
                await self._serve(reader, writer)
            except (asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)


class Calls:
    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.silent = asyncio.Event()

    def watch(self, *urls: str, **headers: str):
        spec = ProcessSpec("x", ("x",), ready_urls=urls, ready_headers=headers)
        return asyncio.create_task(
            readiness.watch(spec, self.answered.set, self.silent.set)
        )


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    monkeypatch.setattr(readiness, "POLL_S", 0.01)
    monkeypatch.setattr(readiness, "CHECK_S", 0.05)
    monkeypatch.setattr(readiness, "START_TIMEOUT_S", 0.6)
    monkeypatch.setattr(readiness, "SILENCE_S", 0.3)


async def test_ready_after_each_url_has_said_200_with_the_headers():
    calls = Calls()
    async with Server().running() as first, Server().running() as second:
        second.status = 404
        task = calls.watch(
            f"http://127.0.0.1:{first.port}/a",
            f"http://127.0.0.1:{second.port}/b",
            Authorization="token x",
        )
        await asyncio.wait_for(second.third.wait(), 5)
        assert len(first.requests) == 1
        assert not calls.answered.is_set()
        second.status = 200
        await asyncio.wait_for(calls.answered.wait(), 5)
        assert b"Authorization: token x" in second.requests[-1]
        task.cancel()


async def test_one_that_never_answers_is_silent():
    calls = Calls()
    async with Server().running() as server:
        server.status = 503
        task = calls.watch(f"http://127.0.0.1:{server.port}/")
        await asyncio.wait_for(calls.silent.wait(), 5)
        assert not calls.answered.is_set()
        await task


async def test_an_error_is_a_sign_of_life_and_no_answer_is_not():
    calls = Calls()
    async with Server().running() as server:
        task = calls.watch(f"http://127.0.0.1:{server.port}/")
        await asyncio.wait_for(calls.answered.wait(), 5)
        server.status = 500
        await asyncio.sleep(0.6)
        assert not calls.silent.is_set()
        server.status = 0
        await asyncio.wait_for(calls.silent.wait(), 5)
        await task


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_what_speaks_no_http_is_ready_once_it_accepts_connections(kind, tmp_path):
    calls = Calls()
    met = asyncio.Event()

    async def meet(reader, writer):
        met.set()
        writer.close()

    long_name = "x" * 100  # such paths do not fit the address of a socket
    if kind == "unix":
        path = tmp_path / long_name / "s"
        path.parent.mkdir()
        task = calls.watch(f"unix:{path}")
        await asyncio.sleep(0.1)
        assert not calls.answered.is_set()
        with connectable(path) as name:
            server = await asyncio.start_unix_server(meet, name)
    else:
        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        task = calls.watch(f"tcp://127.0.0.1:{port}")
    async with server:
        await asyncio.wait_for(calls.answered.wait(), 5)
        assert met.is_set()
        task.cancel()
