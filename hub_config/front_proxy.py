"""The proxy in front of hub, servers and gateway: what the stock Python port lacks.

``configurable-http-proxy`` 0.4 (Python) collects whole answers before it passes them
on, gives up after 20 s, carries ten requests at a time and 10 MB a websocket message,
loses websocket subprotocols, turns binary messages into text and writes the query of failed requests, with the login
token in it, into its log. Here answers stream, nothing but the two ends limits a
request, and a logged path has no query.
"""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Awaitable
from typing import Any

from configurable_http_proxy import log
from configurable_http_proxy.configproxy import PythonProxy
from configurable_http_proxy.handlers import ProxyHandler
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders, parse_response_start_line
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler
from tornado.websocket import websocket_connect

CONCURRENT_REQUESTS = 4096
LARGEST_BODY_BYTES = 2**40
LARGEST_MESSAGE_BYTES = 2**30
_CONNECT_S = 20.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}


class FrontProxy(PythonProxy):
    """The routing table of the stock proxy, with handlers that stream."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        AsyncHTTPClient.configure(
            None, max_clients=CONCURRENT_REQUESTS, max_body_size=LARGEST_BODY_BYTES
        )
        self.proxy_app = Application(
            [(r"/(.*)", StreamingProxyHandler, {"proxy": self})],
            log_function=_log_failure,
            websocket_max_message_size=LARGEST_MESSAGE_BYTES,
        )
        # The hub asks for the routes every second.
        log.addFilter(_is_worth_a_line)


class StreamingProxyHandler(ProxyHandler):
    """Passes requests and websockets on as they come."""

    async def call_proxy(self, path: str | None = None) -> None:
        url = await self.get_target_url(path)
        if url is None:
            return
        request: HTTPRequest = self._get_proxy_request(url)
        request.connect_timeout = _CONNECT_S
        request.request_timeout = 0  # the ends know how long they want to wait
        request.decompress_response = False
        request.header_callback = self._take_header
        request.streaming_callback = self._pass_on
        try:
            response = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (OSError, HTTPClientError, ValueError) as error:
            await self._failed(error)
            return
        if response.code == 599:
            await self._failed(response.error)
            return
        # Flushed first: otherwise Tornado would count and tag the missing body.
        await self._flush_quietly()
        self.finish()

    async def _failed(self, error: BaseException | None) -> None:
        if self._headers_written:
            # Half an answer cannot be taken back: the client sees it cut short.
            self.request.connection.stream.close()
        else:
            self.clear()
            await self.handle_proxy_error(503, error)

    def _get_proxy_request(self, url: str) -> HTTPRequest:
        request: HTTPRequest = super()._get_proxy_request(url)
        # The stock port replaces what another proxy in front of us has written down,
        # and reads the scheme off the path, which never has one.
        hops = [*self.request.headers.get_list("X-Forwarded-For"), self._peer()]
        request.headers = HTTPHeaders(request.headers)
        request.headers["X-Forwarded-For"] = ", ".join(hops)
        request.headers["X-Forwarded-Proto"] = self.request.protocol
        return request

    def _peer(self) -> str:
        return self.request.remote_ip or "unknown"

    def _take_header(self, line: str) -> None:
        if line.startswith("HTTP/"):
            start = parse_response_start_line(line.rstrip())
            self.set_status(start.code, start.reason)
            self.clear_header("Content-Type")
            return
        name, colon, value = line.partition(":")
        if not colon or name.lower() in _HOP_BY_HOP:
            return
        if name.lower() in {"server", "date", "content-type"}:
            self.set_header(name, value.strip())
        else:
            self.add_header(name, value.strip())

    def _pass_on(self, chunk: bytes) -> Awaitable[None] | None:
        self.write(chunk)
        return self._flush_quietly()

    async def _flush_quietly(self) -> None:
        try:
            await self.flush()
        except StreamClosedError:
            log.debug("client left during %s", self.request.path)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        # The target was connected first, so that both ends speak the same.
        chosen: str | None = self.ws_client.selected_subprotocol
        return chosen if chosen in subprotocols else None

    async def start_ws_client(self, path: str | None = None) -> None:
        self.closed = False
        url = await self.get_target_url(path)
        if url is None:
            return
        request: HTTPRequest = self._get_proxy_request(
            urllib.parse.urlparse(url)._replace(scheme="ws").geturl()
        )
        request.connect_timeout = _CONNECT_S
        try:
            self.ws_client = await websocket_connect(
                request,
                on_message_callback=self._from_target,
                max_message_size=LARGEST_MESSAGE_BYTES,
            )
        except HTTPClientError as error:
            self.set_status(error.code)
            self.finish(error.message)
        except OSError as error:
            await self.handle_proxy_error(503, error)

    def on_message(self, message: str | bytes) -> None:
        self.proxy.update_last_activity(self.target["prefix"])
        self.ws_client.write_message(message, binary=isinstance(message, bytes))

    def _from_target(self, message: str | bytes | None) -> None:
        if message is None:
            # The target hung up: so do we, or the client would wait for ever.
            self.close()
        elif not self.closed:
            self.proxy.update_last_activity(self.target["prefix"])
            self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self.closed = True
        if self.ws_client is not None:
            self.ws_client.close()


def without_query(uri: str) -> str:
    """Return the path of a request: its query may hold a token."""
    return uri.partition("?")[0]


def _log_failure(handler: RequestHandler) -> None:
    status = handler.get_status()
    if status >= 400:
        log.warning(
            "%d %s %s (%s)",
            status,
            handler.request.method,
            without_query(handler.request.uri or ""),
            handler.request.remote_ip,
        )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("200 GET /api/routes")
