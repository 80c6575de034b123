"""When a process counts as ready, and when as silent, by a clock of our own."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from facility.local import readiness
from facility.local.table import ProcessSpec
from offload.jobs.unix_sockets import connectable


class Server:
    """Answers each request with ``status``; with 0 not at all."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[bytes] = []
        self.grown = asyncio.Condition()
        self.port = 0

    async def _serve(self, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            async with self.grown:
                self.requests.append(head)
                self.grown.notify_all()
            if not self.status:
                await asyncio.sleep(60)
            reply = f"HTTP/1.1 {self.status} x\r\nContent-Length: 0\r\n\r\n"
            writer.write(reply.encode())

    async def asked(self, times: int) -> None:
        """Wait until it has been asked so many times more."""
        wanted = len(self.requests) + times
        async with asyncio.timeout(60), self.grown:
            await self.grown.wait_for(lambda: len(self.requests) >= wanted)

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


class Clock:
    """Stands where it is put: a machine that hangs makes nobody silent."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(readiness, "time", clock)
    monkeypatch.setattr(readiness, "POLL_S", 0.01)
    monkeypatch.setattr(readiness, "CHECK_S", 0.05)
    return clock


async def test_ready_after_each_url_has_said_200_with_the_headers():
    calls = Calls()
    async with Server().running() as first, Server().running() as second:
        second.status = 404
        task = calls.watch(
            f"http://127.0.0.1:{first.port}/a",
            f"http://127.0.0.1:{second.port}/b",
            Authorization="token x",
        )
        await second.asked(3)
        assert len(first.requests) == 1
        assert not calls.answered.is_set()
        second.status = 200
        await asyncio.wait_for(calls.answered.wait(), 60)
        assert b"Authorization: token x" in second.requests[-1]
        task.cancel()


async def test_one_that_never_answers_is_silent(clock):
    calls = Calls()
    async with Server().running() as server:
        server.status = 503
        task = calls.watch(f"http://127.0.0.1:{server.port}/")
        await server.asked(3)
        clock.now += readiness.START_TIMEOUT_S
        await server.asked(3)
        assert not calls.silent.is_set()
        clock.now += 1
        await asyncio.wait_for(calls.silent.wait(), 60)
        assert not calls.answered.is_set()
        await task


async def test_an_error_is_a_sign_of_life_and_no_answer_is_not(clock):
    calls = Calls()
    async with Server().running() as server:
        task = calls.watch(f"http://127.0.0.1:{server.port}/")
        await asyncio.wait_for(calls.answered.wait(), 60)
        server.status = 500
        for _ in range(8):
            clock.now += readiness.SILENCE_S / 4
            await server.asked(2)
        assert not calls.silent.is_set()
        server.status = 0
        await server.asked(2)
        assert not calls.silent.is_set()
        clock.now += readiness.SILENCE_S
        await asyncio.wait_for(calls.silent.wait(), 60)
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
        await asyncio.wait_for(calls.answered.wait(), 60)
        assert met.is_set()
        task.cancel()
