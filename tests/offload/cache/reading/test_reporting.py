"""What jobs read is told once, and again when much was added; never to nobody we know."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import ValidationError

from offload.cache.cvmfs.names import ObjectName
from offload.cache.reading.bundles import Use
from offload.cache.reading.reporting import ReportError, report_traces
from offload.cache.reading.settings import ReportSettings
from offload.cache.reading.traces import Trace

IMAGE = "ab" * 32


@pytest.fixture
def publisher():
    told = []

    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.path, self.headers["Authorization"], body.decode()))
            self.send_response(Handler.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port, told, Handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("cluster+traces.0\n")
    path.chmod(0o600)
    return path


def read(folder, count: int, image: str = IMAGE) -> None:
    trace = Trace()
    for number in range(count):
        trace.note(Use(ObjectName(bytes([number]) * 20), 0o644, 7), 1)
    trace.save(folder / "traces" / image)


def test_it_is_told_once_and_again_when_much_was_added(publisher, token, tmp_path):
    port, told, _ = publisher
    settings = ReportSettings(url=f"http://127.0.0.1:{port}", token=token)
    assert report_traces(tmp_path, settings) == 0
    for count, is_told in ((20, True), (20, False), (22, False), (23, True)):
        read(tmp_path, count)
        assert report_traces(tmp_path, settings) == is_told
    paths, tokens, bodies = zip(*told, strict=True)
    assert set(paths) == {f"/reports/sha256:{IMAGE}"}
    assert set(tokens) == {"Bearer cluster+traces.0"}
    assert [len(Trace.parse(body)) for body in bodies] == [20, 23]


def test_what_fails_is_told_the_next_time(publisher, token, tmp_path):
    port, told, handler = publisher
    settings = ReportSettings(url=f"http://127.0.0.1:{port}", token=token)
    read(tmp_path, 5)
    handler.status = 503
    with pytest.raises(ReportError, match="answers with status 503"):
        report_traces(tmp_path, settings)
    handler.status = 404  # the image is not there any more
    assert report_traces(tmp_path, settings) == 1
    assert report_traces(tmp_path, settings) == 0
    away = settings.model_copy(update={"url": "http://127.0.0.1:9"})
    read(tmp_path, 9)
    with pytest.raises(ReportError, match="cannot be reached"):
        report_traces(tmp_path, away)
    token.chmod(0o644)
    with pytest.raises(ReportError, match="open to others"):
        report_traces(tmp_path, settings)
    token.chmod(0o600)
    token.write_bytes(b"\xff")
    with pytest.raises(ReportError, match="expected a token"):
        report_traces(tmp_path, settings)
    token.unlink()
    with pytest.raises(ReportError, match="No such file"):
        report_traces(tmp_path, settings)
    assert len(told) == 2


def test_one_that_is_refused_does_not_hold_up_the_others(publisher, token, tmp_path):
    port, told, handler = publisher
    settings = ReportSettings(url=f"http://127.0.0.1:{port}", token=token)
    for image in ("cd" * 32, IMAGE):
        read(tmp_path, 5, image)
    handler.status = 400
    with pytest.raises(ReportError, match="status 400"):
        report_traces(tmp_path, settings)
    assert len(told) == 2
    assert report_traces(tmp_path, settings) == 0  # not before it has grown


def test_no_token_travels_in_the_clear(token):
    for url in ("http://publisher.example.org", "ftp://x", "x", "https://x:y"):
        with pytest.raises(ValidationError):
            ReportSettings(url=url, token=token)
    assert ReportSettings(url="https://publisher.example.org/", token=token).url
