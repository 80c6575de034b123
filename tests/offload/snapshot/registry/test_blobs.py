"""Transfers to a registry that fails at every step it can (one written for it)."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from offload.snapshot.errors import DamagedError
from offload.snapshot.model import Blob
from offload.snapshot.registry import blobs as registry_blobs
from offload.snapshot.registry.address import RegistryAddress
from offload.snapshot.registry.blobs import download, has_blob, upload
from offload.snapshot.registry.client import Patience, RegistryClient
from offload.snapshot.registry.errors import (
    RegistryAwayError,
    RegistryError,
    RegistryRefusedError,
)
from offload.snapshot.registry.sessions import Sessions
from offload.snapshot.store.local import LocalStore

DATA = bytes(range(256)) * 400
BLOB = Blob(f"sha256:{hashlib.sha256(DATA).hexdigest()}", len(DATA))
CHUNK = 10_000

Fault = Callable[[BaseHTTPRequestHandler], bool]
"""Handles a request in some wrong way; False lets the registry do it right."""


@dataclass
class Registry:
    """Just enough of the Distribution Specification, and faults to be met in order."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    """Method, and what happens to its next request."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    received: int = 0
    has_ranges: bool = True
    port: int = 0

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append((request.command, request.path))
        for number, (method, fault) in enumerate(self.faults):
            if method == request.command:
                del self.faults[number]
                if fault(request):
                    return
                break
        getattr(self, request.command.lower())(request)

    def head(self, request):
        blob = self.blobs.get(request.path.rpartition("/")[2])
        if blob is None:
            answer(request, 404)
        else:
            answer(request, 200, {"Content-Length": str(len(blob))})

    def get(self, request):
        name = request.path.rpartition("/")[2]
        if "/uploads/" in request.path:
            if name not in self.uploads:
                answer(request, 404)
                return
            end = max(len(self.uploads[name]) - 1, 0)
            answer(request, 204, {"Location": request.path, "Range": f"0-{end}"})
            return
        blob = self.blobs[name]
        start = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if start and self.has_ranges:
            answer(request, 206, body=blob[int(start[1]) :])
        else:
            answer(request, 200, body=blob)

    def post(self, request):
        name = f"u{len(self.uploads)}"
        self.uploads[name] = b""
        answer(request, 202, {"Location": f"{request.path}{name}"})

    def patch(self, request):
        name = request.path.rpartition("/")[2]
        data = request.rfile.read(int(request.headers["Content-Length"]))
        start = int(request.headers["Content-Range"].partition("-")[0])
        if name not in self.uploads:
            answer(request, 404)
        elif start != len(self.uploads[name]):
            answer(request, 416)
        else:
            self.uploads[name] += data
            self.received += len(data)
            end = len(self.uploads[name]) - 1
            answer(request, 202, {"Location": request.path, "Range": f"0-{end}"})

    def put(self, request):
        path, _, query = request.path.partition("?digest=")
        digest = query.replace("%3A", ":")
        data = self.uploads.pop(path.rpartition("/")[2])
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            answer(request, 400)
            return
        self.blobs[digest] = data
        answer(request, 201, {"Docker-Content-Digest": digest})


def answer(request, status, headers=None, body=b""):
    request.send_response(status)
    headers = {"Content-Length": str(len(body)), **(headers or {})}
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def with_status(status: int, **headers: str) -> Fault:
    def fault(request):
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer(request, status, names)
        return True

    return fault


def cut_off(request) -> bool:
    """Hang up without an answer."""
    request.rfile.read(int(request.headers.get("Content-Length", 0)))
    request.close_connection = True
    return True


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(registry_blobs, "CHUNK_BYTES", CHUNK)
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Callable[[], None]:
            if not name.startswith("do_"):
                raise AttributeError(name)
            return lambda: registry.handle(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield registry
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Home:
    store: LocalStore
    client: RegistryClient
    waits: list[float]

    def sessions(self) -> Sessions:
        return Sessions(self.store, self.client.address)

    def upload(self, sent: Callable[[int], None] = lambda _: None) -> None:
        upload(self.client, BLOB, self.store, self.sessions(), sent)


@pytest.fixture
def home(tmp_path: Path, registry: Registry) -> Iterator[Home]:
    waits: list[float] = []
    store = LocalStore(tmp_path / "store")
    store.add(DATA)
    address = RegistryAddress.parse(f"http://127.0.0.1:{registry.port}/mine")
    patience = Patience(attempts=3, first_wait_s=1, longest_wait_s=100)
    with RegistryClient(address, patience=patience, sleep=waits.append) as client:
        yield Home(store, client, waits)


def test_a_blob_arrives_in_chunks(registry, home):
    assert not has_blob(home.client, BLOB)
    seen: list[int] = []
    home.upload(seen.append)
    assert registry.blobs == {BLOB.digest: DATA}
    assert sum(seen) == len(DATA)
    assert max(seen) == CHUNK
    assert has_blob(home.client, BLOB)
    assert home.waits == []


FAULTS = {
    "hung up": cut_off,
    "out of order": with_status(503),
    "busy": with_status(429),
    "forgotten": with_status(404),
    "out of step": with_status(416),
    "other bytes": with_status(400),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_upload_survives_a_fault(method, fault, registry, home):
    registry.faults = [(method, FAULTS[fault])]
    seen: list[int] = []
    home.upload(seen.append)
    assert registry.blobs == {BLOB.digest: DATA}
    assert sum(seen) == len(DATA)
    assert len(home.waits) == 1


@pytest.mark.parametrize("fault", ["hung up", "out of order", "busy"])
@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_what_comes_before_an_upload_is_asked_again(method, fault, registry, home):
    registry.faults = [(method, FAULTS[fault])]
    assert not has_blob(home.client, BLOB)
    home.upload()
    assert registry.blobs == {BLOB.digest: DATA}


def test_after_a_fault_only_what_is_missing_is_sent(registry, home):
    def nothing(_: object) -> bool:
        return False

    registry.faults = [*(("PATCH", nothing) for _ in range(5)), ("PATCH", cut_off)]
    home.upload()
    assert registry.received == len(DATA)
    assert [method for method, _ in registry.requests].count("POST") == 1


def test_another_process_goes_on_with_an_upload(registry, home):
    class KilledError(Exception):
        pass

    done = 0

    def killed(size: int) -> None:
        nonlocal done
        done += size
        if done >= 5 * CHUNK:
            raise KilledError

    with pytest.raises(KilledError):
        home.upload(killed)
    home.upload()
    assert registry.blobs == {BLOB.digest: DATA}
    assert registry.received == len(DATA)
    assert home.sessions().get(BLOB.digest) is None


def test_an_upload_of_former_days_that_the_registry_forgot_begins_anew(registry, home):
    home.sessions().put(BLOB.digest, f"http://127.0.0.1:{registry.port}/v2/x/uploads/y")
    home.upload()
    assert registry.blobs == {BLOB.digest: DATA}


def test_patience_ends_and_waits_grow(registry, home):
    registry.faults = [("POST", with_status(503, Retry_After="7"))] * 9
    with pytest.raises(RegistryAwayError, match="503") as away:
        home.upload()
    assert away.value.retry_after_s == 7
    assert home.waits == [7, 7]  # what the registry asks for is more than ours
    registry.faults = [("POST", cut_off)] * 9
    with pytest.raises(RegistryAwayError, match="cannot be reached"):
        home.upload()
    assert 0.8 <= home.waits[2] <= 1.2
    assert 1.6 <= home.waits[3] <= 2.4


@pytest.mark.parametrize("status", [401, 403, 405, 412, 413])
def test_a_refusal_is_not_asked_again(status, registry, home):
    registry.faults = [("POST", with_status(status))]
    with pytest.raises(RegistryRefusedError, match="refuses to POST"):
        home.upload()
    assert home.waits == []


def test_a_blob_comes_back(registry, home, tmp_path):
    registry.blobs[BLOB.digest] = DATA
    other = LocalStore(tmp_path / "other")
    seen: list[int] = []
    download(home.client, BLOB, other, seen.append)
    assert other.read(BLOB.digest) == DATA
    assert sum(seen) == len(DATA)


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_broken_download_goes_on(has_ranges, registry, home, tmp_path):
    def break_off(request) -> bool:
        request.send_response(200)
        request.send_header("Content-Length", str(len(DATA)))
        request.end_headers()
        request.wfile.write(DATA[:30_000])
        request.close_connection = True
        return True

    registry.blobs[BLOB.digest] = DATA
    registry.has_ranges = has_ranges
    registry.faults = [("GET", break_off)]
    other = LocalStore(tmp_path / "other")
    seen: list[int] = []
    download(home.client, BLOB, other, seen.append)
    assert other.read(BLOB.digest) == DATA
    assert sum(seen) == len(DATA)
    assert len(home.waits) == 1


@pytest.mark.parametrize("change", [lambda d: d[::-1], lambda d: d + b"x"])
def test_a_blob_that_is_another_never_enters_the_store(
    change, registry, home, tmp_path
):
    registry.blobs[BLOB.digest] = change(DATA)
    other = LocalStore(tmp_path / "other")
    with pytest.raises(DamagedError):
        download(home.client, BLOB, other, lambda _: None)
    assert not other.has(BLOB.digest)


def test_what_nobody_expects_is_said(registry, home):
    registry.faults = [("POST", with_status(418))]
    with pytest.raises(RegistryError, match="expected status 202 to POST, got 418"):
        home.upload()


def test_behind_a_proxy_that_ends_tls_locations_stay_with_https(tmp_path):
    with RegistryClient(RegistryAddress.parse("https://r.example.org/mine")) as client:
        there = "http://r.example.org/v2/mine/blobs/uploads/1?s=2"
        assert client.locate(there) == there.replace("http:", "https:")
        assert client.locate("/v2/x") == "https://r.example.org/v2/x"
        assert client.locate("https://s3.example.org/x") == "https://s3.example.org/x"
