"""A loopback HTTP server with ranges that fails, waits or lies as it is told."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Behaviour:
    """What the next requests meet."""

    delay_s: float = 0
    fail_every: int = 0
    """Each so-many-th request fails, in turn with 503, a cut body and a closed line."""
    forbidden: bool = False
    has_ranges: bool = True
    requests: int = 0
    failed: int = 0
    sent_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> str:
        with self.lock:
            self.requests += 1
            if self.fail_every and self.requests % self.fail_every == 0:
                self.failed += 1
                return ("busy", "cut", "closed")[self.failed % 3]
        return "well"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        behaviour = self.server.behaviour
        time.sleep(behaviour.delay_s)
        fate = behaviour.next()
        path = self.server.folder / self.path.lstrip("/")
        if behaviour.forbidden:
            return self._refuse(403)
        if not path.is_file():
            return self._refuse(404)
        if fate == "busy":
            return self._refuse(503)
        if fate == "closed":
            self.close_connection = True
            return None
        size = path.stat().st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        is_part = found is not None and behaviour.has_ranges
        start, stop = (int(found[1]), int(found[2]) + 1) if is_part else (0, size)
        with path.open("rb") as file:
            file.seek(start)
            body = file.read(stop - start) if with_body or is_part else b""
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(min(stop, size) - start))
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if fate == "cut" else body)
            behaviour.sent_bytes += len(body)
            if fate == "cut":
                self.close_connection = True
        return None

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class FileServer(ThreadingHTTPServer):
    """Serves a folder at ``url`` until it is closed."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.behaviour = Behaviour()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def handle_error(self, *_: object) -> None:
        """Clients that give up are what the tests are about."""

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
