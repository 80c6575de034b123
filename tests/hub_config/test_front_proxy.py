import asyncio
import logging

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from hub_config.front_proxy import FrontProxy, without_query


class Ticking(RequestHandler):
    """Sends one event, then waits until it is told to send the second."""

    go_on = asyncio.Event()

    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        self.write("data: 1\n\n")
        await self.flush()
        await type(self).go_on.wait()
        self.write("data: 2\n\n")


class Echo(RequestHandler):
    def get(self):
        self.set_header("Set-Cookie", "one=1")
        self.add_header("Set-Cookie", "two=2")
        self.write({"headers": dict(self.request.headers.get_all())})

    def head(self):
        self.set_header("Content-Length", "1234")

    def post(self):
        self.write(self.request.body)

    def delete(self):
        self.set_status(204)


class Large(RequestHandler):
    async def get(self):
        for _ in range(40):
            self.write(b"x" * 2**20)
            await self.flush()


class Gate(RequestHandler):
    """Answers when as many requests as it is told are waiting."""

    waiting = 0
    full = asyncio.Event()

    async def get(self, count):
        cls = type(self)
        cls.waiting += 1
        if cls.waiting == int(count):
            cls.full.set()
        await cls.full.wait()
        self.write("in")


class Kernel(WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        return "v1.kernel" if "v1.kernel" in subprotocols else None

    async def on_message(self, message):
        if message == "bye":
            self.close()
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


@pytest.fixture
async def proxied():
    """Return the address of a proxy in front of a small server."""
    Ticking.go_on = asyncio.Event()
    Gate.waiting, Gate.full = 0, asyncio.Event()
    target = HTTPServer(
        Application(
            [
                ("/echo", Echo),
                ("/ticks", Ticking),
                ("/large", Large),
                ("/gate/(.*)", Gate),
                ("/socket", Kernel),
            ],
            websocket_max_message_size=2**27,
        )
    )
    target_socket, target_port = bind_unused_port()
    target.add_socket(target_socket)
    proxy = FrontProxy({"auth_token": "t", "x_forward": True})
    proxy.add_route("/", {"target": f"http://127.0.0.1:{target_port}"})
    proxy.add_route("/gone", {"target": "http://127.0.0.1:1"})
    front = HTTPServer(proxy.proxy_app)
    front_socket, front_port = bind_unused_port()
    front.add_socket(front_socket)
    yield f"http://127.0.0.1:{front_port}"
    for server in (front, target):
        server.stop()
        await server.close_all_connections()


@pytest.fixture
async def client(proxied):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=proxied, timeout=20, limits=limits
    ) as session:
        yield session


async def test_events_arrive_as_they_are_sent(client):
    async with client.stream("GET", "/ticks") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: 1"
        Ticking.go_on.set()
        assert [line async for line in lines if line] == ["data: 2"]


async def test_headers_and_bodies_pass(client):
    answer = await client.get("/echo?a=1")
    assert answer.headers.get_list("set-cookie") == ["one=1", "two=2"]
    assert answer.headers["content-type"].startswith("application/json")
    assert (await client.post("/echo", content=b"\0body")).content == b"\0body"
    assert (await client.delete("/echo")).status_code == 204


async def test_answers_without_a_body_keep_their_headers(client):
    assert (await client.head("/echo")).headers["content-length"] == "1234"
    tag = (await client.get("/gate/1")).headers["etag"]
    again = await client.get("/gate/1", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


async def test_who_asks_is_appended_to_what_he_claims(client):
    answer = await client.get("/echo", headers={"X-Forwarded-For": "203.0.113.7"})
    hops = answer.json()["headers"]["X-Forwarded-For"]
    assert hops == "203.0.113.7, 127.0.0.1"
    assert answer.json()["headers"]["X-Forwarded-Proto"] == "http"


async def test_long_answers_pass_whole(client):
    answer = await client.get("/large")
    assert len(answer.content) == 40 * 2**20


async def test_a_hundred_requests_wait_at_a_time(client):
    answers = await asyncio.gather(*(client.get("/gate/100") for _ in range(100)))
    assert {a.text for a in answers} == {"in"}


async def test_websockets_keep_their_subprotocol_and_large_messages(proxied):
    url = proxied.replace("http", "ws") + "/socket"
    socket = await websocket_connect(
        url, subprotocols=["v1.kernel"], max_message_size=2**27
    )
    assert socket.selected_subprotocol == "v1.kernel"
    for message in (b"x" * (20 * 2**20), "x" * (20 * 2**20)):
        await socket.write_message(message, binary=isinstance(message, bytes))
        assert await socket.read_message() == message
    await socket.write_message("bye")
    assert await socket.read_message() is None
    socket.close()


async def test_what_is_not_there_is_503_and_leaves_no_query_in_the_log(client, caplog):
    caplog.set_level(logging.DEBUG)
    answer = await client.get("/gone/login?token=geheim")
    assert answer.status_code == 503
    lines = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith("http")  # the test's own client
    ]
    assert any("503 GET /gone/login" in line for line in lines)
    assert not any("geheim" in line for line in lines)


@pytest.mark.parametrize(
    ("uri", "path"), [("/a?token=b", "/a"), ("/a", "/a"), ("/a?b?c", "/a"), ("", "")]
)
def test_the_log_has_paths_only(uri, path):
    assert without_query(uri) == path
