"""What a registry says is read up to a limit."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from offload.cache.publishing.errors import NoImageError
from offload.cache.publishing.images import LARGEST_MANIFEST
from offload.cache.publishing.sources import RegistrySource
from offload.snapshot.registry.client import Patience


class Endless(BaseHTTPRequestHandler):
    """A manifest without an end, or none, as its name says."""

    sent = 0

    def do_GET(self):
        if self.path.endswith("gone"):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                Endless.sent += self.wfile.write(b" " * 65536)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    source = RegistrySource(
        f"http://127.0.0.1:{server.server_port}", patience=Patience(1)
    )
    yield source
    source.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_manifest_without_an_end_is_refused(registry):
    with pytest.raises(NoImageError, match="a manifest of more than"):
        registry.manifest("env", "v1")
    assert Endless.sent < 8 * LARGEST_MANIFEST
    assert registry.manifest("env", "gone") is None
