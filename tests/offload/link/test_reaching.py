"""The facility logs in at a login node: here an SSH server of the test's own."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest

from offload.link.errors import PausedError
from offload.link.login import Login
from offload.link.reaching import SshLink
from offload.link.state import Paused, Reachable

STANDIN = Path(__file__).with_name("standin_plugin.py")


class LoginNode(asyncssh.SSHServer):
    """Runs commands by a shell and connects to unix sockets, as sshd does."""

    forwards = True

    def __init__(self, connections):
        self._connections = connections

    def connection_made(self, conn):
        self._connections.append(conn)

    def unix_connection_requested(self, dest_path):
        if not self.forwards:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no")
        return True


async def run(process):
    shell = await asyncio.create_subprocess_shell(
        process.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await shell.communicate((await process.stdin.read()).encode())
    process.stdout.write(out.decode())
    process.stderr.write(err.decode())
    process.exit(shell.returncode)


class Node:
    """The login node, and what the tests change about it."""

    def __init__(self, folder, keys):
        self.folder = folder
        self.keys = keys
        self.port = 0
        self.server = None
        self.connections = []
        self.authority = keys.private("authority")

    async def start(self):
        accepted = self.folder / "authorized_keys"
        accepted.write_text(
            f"{self.keys.public('anna')}\n"
            f"cert-authority {self.keys.public('authority')}\n"
        )
        self.server = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            reuse_address=True,
            server_factory=lambda: LoginNode(self.connections),
            process_factory=run,
            server_host_keys=[str(self.keys.private("node"))],
            authorized_client_keys=str(accepted),
            config=[],
        )
        self.port = self.server.get_port()

    async def stop(self):
        self.server.close()
        for connection in self.connections:
            connection.abort()
            await connection.wait_closed()
        await self.server.wait_closed()

    def login(self, **changes):
        base = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "anna",
            "identity": str(self.keys.private("anna")),
            "known_hosts": str(self.keys.trust("node", self.port)),
            "command": f"{sys.executable} {STANDIN}",
            "config": str(self.folder / "its/site.yaml"),
            "socket": str(self.folder / "site.sock"),
            "content": (
                f"socket: {self.folder / 'site.sock'}\npids: {self.folder / 'pids'}\n"
            ),
        }
        return Login(**{**base, **changes})

    @property
    def pids(self):
        path = self.folder / "pids"
        return list(map(int, path.read_text().split())) if path.exists() else []


@pytest.fixture
async def node(short_path, keys, monkeypatch):
    monkeypatch.setenv("HOME", str(short_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    node = Node(short_path, keys)
    await node.start()
    yield node
    await node.stop()
    for pid in node.pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Clock:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def link(node, short_path):
    made = []

    def make(clock=None, **changes):
        link = SshLink(node.login(**changes), short_path / "l.sock", clock or Clock())
        made.append(link)
        return link

    yield make
    for one in made:
        await one.close()


async def test_the_plugin_is_started_once_and_reached(node, link, say):
    one = link()
    socket = await one.open()
    assert await say(socket, b"hello") == b"HELLO"
    assert socket.stat().st_mode & 0o777 == 0o600
    assert one.state == Reachable()
    assert await one.open() == socket
    await one.close()
    assert not socket.exists()
    again = link()
    assert await say(await again.open(), b"again") == b"AGAIN"
    assert len(node.pids) == 1
    config = node.folder / "its/site.yaml"
    assert config.stat().st_mode & 0o777 == 0o600


async def test_a_plugin_that_died_is_started_again(node, link, say):
    clock = Clock()
    one = link(clock)
    await one.open()
    os.kill(node.pids[0], signal.SIGKILL)
    (node.folder / "site.sock").unlink()
    clock.ahead += timedelta(seconds=6)
    assert await say(await one.open(), b"x") == b"X"
    assert len(node.pids) == 2


async def test_a_plugin_that_cannot_start_says_why(node, link, monkeypatch):
    monkeypatch.setattr("offload.link.reaching.START_S", 2.0)
    with pytest.raises(PausedError, match="does not start on 127.0.0.1: no such part"):
        await link(content="fails: no such partition\n").open()


async def test_a_login_node_that_is_away_is_waited_for_with_back_off(
    node, link, say, eventually
):
    clock = Clock()
    one = link(clock)
    await one.open()
    await node.stop()
    await eventually(one._connection.is_closed)
    begin = time.monotonic()
    delays = []
    for _ in range(8):
        with pytest.raises(PausedError, match="cannot be reached") as caught:
            await one.open()
        until = caught.value.paused.until
        delays.append(round((until - clock()).total_seconds()))
        with pytest.raises(PausedError) as early:
            await one.open()
        assert early.value.paused == caught.value.paused
        clock.ahead += until - clock()
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert time.monotonic() - begin < 10
    await node.start()
    clock.ahead += timedelta(seconds=60)
    assert await say(await one.open(), b"back") == b"BACK"
    assert len(node.pids) == 1


async def test_an_unknown_host_key_is_not_accepted(node, link, keys):
    trusted = keys.trust("impostor", node.port)
    with pytest.raises(PausedError, match=r"host key of 127\.0\.0\.1 is not a trusted"):
        await link(known_hosts=str(trusted)).open()


async def test_no_known_hosts_is_no_free_pass(node, link):
    (node.folder / ".ssh").mkdir()
    (node.folder / ".ssh/config").write_text(
        "Host *\n StrictHostKeyChecking no\n UserKnownHostsFile none\n"
    )
    with pytest.raises(PausedError, match="is not a trusted one"):
        await link(known_hosts=None).open()


async def test_a_host_key_that_was_just_added_is_tried_at_once(node, link, keys, say):
    trusted = node.folder / "known"
    trusted.write_text("")
    one = link(known_hosts=str(trusted))
    with pytest.raises(PausedError):
        await one.open()
    trusted.write_text(keys.trust("node", node.port).read_text())
    os.utime(trusted, (1, 1))
    assert await say(await one.open(), b"now") == b"NOW"


async def test_a_key_that_is_not_accepted_is_named_as_such(node, link, keys):
    with pytest.raises(PausedError, match="accepts no key that it was offered"):
        await link(identity=str(keys.private("stranger"))).open()


async def test_a_key_with_a_passphrase_says_what_to_do(node, link, keys):
    path = node.folder / "locked"
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(path), "pkcs8-pem", passphrase="secret")
    with pytest.raises(PausedError, match="cannot be used without a person"):
        await link(identity=str(path)).open()


async def test_a_login_node_that_forbids_forwarding_says_so(node, link, monkeypatch):
    monkeypatch.setattr("offload.link.reaching.START_S", 2.0)
    monkeypatch.setattr(LoginNode, "forwards", False)
    with pytest.raises(PausedError, match="AllowStreamLocalForwarding"):
        await link().open()


def certify(node, name, begin, end):
    """Give a key a certificate of the node's authority, as sites hand them out."""
    path = node.keys.private(name)
    authority = asyncssh.read_private_key(str(node.authority))
    key = asyncssh.read_private_key(str(path))
    made = authority.generate_user_certificate(
        key, name, principals=["anna"], valid_after=begin, valid_before=end
    )
    made.write_certificate(f"{path}-cert.pub")
    return path


async def test_a_certificate_that_ends_pauses_the_site_and_a_new_one_resumes_it(
    node, link, say
):
    now = time.time()
    path = certify(node, "bert", now - 80_000, now + 3_000)
    clock = Clock()
    one = link(clock, identity=str(path))
    assert await say(await one.open(), b"a") == b"A"
    assert isinstance(one.state, Reachable)
    assert "bert-cert.pub for 127.0.0.1 ends " in one.state.warning
    assert abs(one.state.until.timestamp() - now - 3_000) < 2

    certify(node, "bert", now - 80_000, now - 10)
    await one.close()
    with pytest.raises(PausedError, match=r"bert-cert\.pub ended ") as caught:
        await one.open()
    assert caught.value.paused == one.state
    assert isinstance(one.state, Paused)

    certify(node, "bert", now - 10, now + 80_000)
    os.utime(f"{path}-cert.pub", (2, 2))
    assert await say(await one.open(), b"b") == b"B"
    assert one.state.warning == ""


async def test_a_certificate_that_is_not_good_yet(node, link):
    now = time.time()
    path = certify(node, "bert", now + 5_000, now + 9_000)
    with pytest.raises(PausedError, match=r"bert-cert\.pub begins "):
        await link(identity=str(path)).open()
