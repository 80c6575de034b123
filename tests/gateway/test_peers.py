import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.peers import TABLE, uid_of_client, uid_of_listener


def test_the_kernel_knows_who_connected() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        table = TABLE.read_text()
        ends = client.getsockname(), server.getsockname()
        assert uid_of_client(table, *ends) == os.getuid()
        assert uid_of_client(table, ("127.0.0.2", ends[0][1]), ends[1]) is None
        assert uid_of_listener(table, ends[1]) == os.getuid()
        assert uid_of_listener(table, ends[0]) is None


def test_a_closed_socket_with_the_same_port_says_nothing() -> None:
    """What is closed counts as root's; anybody can leave such a socket behind."""
    heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when uid"
    line = "{}: 0100007F:9C40 0100007F:{} {} 0:0 0:0 0 {} 0 0"
    closed = [line.format(0, "1111", "06", 0), line.format(1, "1F90", "06", 0)]
    table = "\n".join([heading, *closed, line.format(2, "1F90", "01", 1000)])
    client, server = ("127.0.0.1", 0x9C40), ("127.0.0.1", 0x1F90)
    assert uid_of_client(table, client, server) == 1000
    assert uid_of_client("\n".join([heading, *closed]), client, server) is None


@pytest.mark.engines
def test_the_kernel_knows_other_users_too() -> None:
    """Needs root, to become somebody else."""
    script = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); input()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen(
            ["/usr/bin/python3", "-c", script, port], stdin=subprocess.PIPE, user=65534
        ) as process:
            connection, client = server.accept()
            us = server.getsockname()
            assert uid_of_client(TABLE.read_text(), client, us) == 65534
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
