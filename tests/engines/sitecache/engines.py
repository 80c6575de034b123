"""Engines around a site's cache: an origin that counts, a real squid, a slow wire."""

import contextlib
import getpass
import http.server
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from facility.local.ports import choose_ports

HERE = Path(__file__).parent
SQUID = shutil.which("squid", path="/usr/sbin:/usr/bin:/sbin:/bin")

CONFIG = """
http_port 127.0.0.1:{port}
acl here src 127.0.0.1
http_access allow here
cache_mem 512 MB
maximum_object_size 256 MB
maximum_object_size_in_memory 64 MB
collapsed_forwarding on
refresh_pattern \\.cvmfs 0 0% 0
refresh_pattern . 1440 100% 10080
access_log none
cache_log {folder}/cache.log
cache_store_log none
pid_filename {folder}/squid.pid
coredump_dir {folder}
netdb_filename none
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname localhost
{user}
"""
"""Memory only; who comes while an object is on its way waits for it."""


class Origin:
    """Serves a repository's public folder, with the cache headers of the publisher."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = Counter()
        self.spoil = lambda path, body: body
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                origin.requests[self.path] += 1
                place = origin.folder / self.path.lstrip("/")
                body = place.read_bytes() if place.is_file() else None
                self.send_response(404 if body is None else 200)
                body = origin.spoil(self.path, body or b"")
                age = "max-age=1" if ".cvmfs" in self.path else "max-age=604800"
                self.send_header("Cache-Control", f"public, {age}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def objects(self):
        """How often each object left the origin."""
        return {p: n for p, n in self.requests.items() if "/data/" in p}

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def squid(folder):
    """Run a squid with an empty cache in a folder; yield its port."""
    folder.mkdir()
    port = choose_ports(uuid4().hex, "127.0.0.1", 0, None).hub
    user = ""
    if getpass.getuser() == "root":
        user = "cache_effective_user proxy"
        shutil.chown(folder, "proxy")
        for parent in folder.parents:
            if parent.stat().st_mode & 0o001 == 0 and parent.owner() == "root":
                parent.chmod(parent.stat().st_mode | 0o001)
    config = folder / "squid.conf"
    config.write_text(CONFIG.format(port=port, folder=folder, user=user))
    process = subprocess.Popen(
        [SQUID, "-N", "-n", f"s{port}", "-f", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()  # it removes its shared memory
        process.wait(100)


@contextlib.contextmanager
def delayed(port, milliseconds):
    """Put a round trip of so many milliseconds before a port; yield another port."""
    process = subprocess.Popen(
        [sys.executable, HERE / "delayed_proxy.py", str(port), str(milliseconds)],
        stdout=subprocess.PIPE,
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def wait_for_port(port, process, timeout_s=100.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, "it has ended at once"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")
