import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.peers import TABLE, uid_of_client


def test_the_kernel_knows_who_connected() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        host, port = client.getsockname()
        assert uid_of_client(TABLE.read_text(), host, port) == os.getuid()
        assert uid_of_client(TABLE.read_text(), "127.0.0.2", port) is None


@pytest.mark.engines
def test_the_kernel_knows_other_users_too() -> None:
    """Needs root, to become somebody else."""
    script = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); input()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen(
            ["/usr/bin/python3", "-c", script, port], stdin=subprocess.PIPE, user=65534
        ) as process:
            connection, (host, port) = server.accept()
            assert uid_of_client(TABLE.read_text(), host, port) == 65534
            connection.close()
            process.kill()


GUARDED = """
import os, sys
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler
from gateway import peers

class Handler(RequestHandler):
    def get(self):
        self.write("dashboard")

server = HTTPServer(Application([("/", Handler)]))
server.listen(0, "127.0.0.1")
os.environ[peers.PROXY_UID] = sys.argv[1]
os.getuid = lambda: 1  # somebody else's cluster
peers.admit_own_users_only(server)
print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
IOLoop.current().start()
"""


@pytest.mark.parametrize("is_proxy", [True, False])
def test_other_users_are_not_served(is_proxy: bool, tmp_path: Path) -> None:
    proxy_uid = os.getuid() if is_proxy else 2
    with subprocess.Popen(
        [sys.executable, "-c", GUARDED, str(proxy_uid)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(10)
            try:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = client.recv(1000)
            except ConnectionError:
                answer = b""
        process.kill()
    assert answer.startswith(b"HTTP/1.1 200" if is_proxy else b"") is True
    assert bool(answer) is is_proxy
