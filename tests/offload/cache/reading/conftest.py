"""A small repository on disk, an origin that serves it and can misbehave, and a site."""

import contextlib
import hashlib
import http.server
import itertools
import socket
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository, Settings
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.snapshot.tree import Kind

FQRN = "environments.example.org"
LARGE = bytes(range(251)) * 20_000
"""In two chunks."""


def digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def file(path, content, mode=0o644, mtime=1_700_000_000):
    return Item(path, Kind.FILE, mode, len(content), mtime, content=content)


def folder(path, mode=0o755, mtime=1_700_000_000):
    return Item(path, Kind.FOLDER, mode, mtime=mtime)


def link(path, target):
    return Item(path, Kind.LINK, 0o777, target=target)


SMALL = (
    folder(b"", 0o755),
    folder(b"env"),
    folder(b"env/bin"),
    folder(b"env/closed", 0o555),
    file(b"env/bin/python", b"#!python\n" * 500, 0o755),
    file(b"env/closed/secret.py", b"x = 1\n", 0o444),
    file(b"env/empty", b""),
    file(b"env/large.so", LARGE, 0o755),
    file(b"env/one.py", b"one = 1\n" * 90),
    file(b"env/same.py", b"one = 1\n" * 90, 0o600),
    file("env/naïve.py".encode(), b"two = 2\n" * 70),
    link(b"env/bin/python3", b"python"),
)


@pytest.fixture(scope="session")
def keys():
    return Keys.generate(FQRN, datetime.now(UTC))


class Publisher:
    """Writes a repository. Items of a tree: see the functions above."""

    file, folder, link, digest = map(staticmethod, (file, folder, link, digest))
    small, large = SMALL, LARGE

    def __init__(self, path, keys, clock=lambda: datetime.now(UTC)):
        self.opened = lambda clock: Repository(path, FQRN, keys, clock=clock).open()
        self.repository = Repository(path, FQRN, keys, Settings(), clock).create()
        self.public = self.repository.public

    def publish(self, **images):
        """Make images of a name and items each; return the manifest."""
        with self.repository.transaction() as transaction:
            for name, items in images.items():
                hexed = digest(name).removeprefix("sha256:")
                path = f"/.flat/{hexed[:2]}/{hexed}".encode()
                transaction.put_tree(path, items)
            return transaction.commit()

    def publish_at(self, path, *items):
        with self.repository.transaction() as transaction:
            transaction.put_tree(path, items)
            return transaction.commit()

    def objects(self):
        return sorted(p for p in (self.public / "data").rglob("*") if p.is_file())


class Origin:
    """Serves a folder on loopback; ``spoil`` may change an answer on its way."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = Counter()
        self.headers = []
        self.spoil = lambda path, body: body
        self.status = None
        self.refuses = lambda path, headers: None
        self.cut = lambda path, sent: None
        self._lock = threading.Lock()
        self.start()

    def start(self, port=0):
        origin = self
        self.connections = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                origin.connections.add(self.connection)

            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, handler):
        path = handler.path.removeprefix(self.url)
        with self._lock:
            self.requests[path] += 1
            self.headers.append(dict(handler.headers))
        status = self.status or self.refuses(path, handler.headers)
        if status is not None:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        place = self.folder / path.lstrip("/")
        if not place.is_file():
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.spoil(path, place.read_bytes())
        start = 0
        if wanted := handler.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        length = self.cut(path, start)
        handler.wfile.write(body[start:] if length is None else body[start:][:length])
        if length is not None:
            handler.close_connection = True

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def make_publisher(tmp_path):
    return lambda name, *args, **more: Publisher(tmp_path / name, *args, **more)


@pytest.fixture
def publisher(make_publisher, keys):
    return make_publisher("repository", keys)


@pytest.fixture
def origin(publisher):
    origin = Origin(publisher.public)
    yield origin
    with contextlib.suppress(OSError):
        origin.stop()


@pytest.fixture
def settings(tmp_path, keys, origin):
    public = tmp_path / "master.pub"
    public.write_bytes(keys.master.public)
    return RepositorySettings(
        fqrn=FQRN, urls=(origin.url,), master_keys=(public,), refresh_s=0, connections=4
    )


@pytest.fixture
def make_cache(tmp_path, settings):
    """Make further caches: of other folders, or with other settings."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def make(name=None, **changes):
            folder = tmp_path / (name or f"site-{next(numbers)}")
            changed = settings.model_copy(update=changes)
            return stack.enter_context(RepositoryCache(folder, changed))

        yield make


@pytest.fixture
def cache(make_cache):
    return make_cache("site")
