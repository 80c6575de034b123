"""Both ways to a site with OpenSSH on the other side and the real plugin behind it."""

import asyncio
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from facility.spec import Site
from offload.interlink import PluginClient
from offload.link import Paused, PausedError, Reachable
from offload.link.admission import AdmittedKey, EndpointSettings, Way, state_path
from offload.link.endpoint import Endpoint
from offload.link.login import Login
from offload.link.reaching import SshLink
from offload.link.ways import login_of

pytestmark = pytest.mark.engines


class Clock:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def login(node, plugin_command, monkeypatch):
    """How the facility logs in at a site of facility.yaml."""
    monkeypatch.setenv("HOME", str(node.folder / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def make(**changes) -> Login:
        keys = {
            "name": "big",
            "host": "127.0.0.1",
            "port": node.port,
            "user": node.user,
            "identity": str(node.key("user")),
            "known_hosts": str(node.known_hosts()),
            "command": plugin_command,
            "work": str(node.folder / "work"),
        }
        return login_of(Site(**{**keys, **changes}))

    return make


@pytest.fixture
async def link(node, login):
    made = []

    def make(clock=None, **changes):
        socket = node.folder / "here.sock"
        made.append(SshLink(login(**changes), socket, clock or Clock()))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.02)


async def info_of(socket):
    async with PluginClient(f"unix://{socket}") as client:
        return await client.system_info()


async def test_the_facility_starts_the_plugin_at_a_login_node(node, link):
    one = link()
    assert (await info_of(await one.open())).site == "big"
    assert len(node.plugins()) == 1
    assert (node.folder / "work/plugin.sock").stat().st_mode & 0o777 == 0o600
    await one.close()
    again = link()
    await info_of(await again.open())
    assert len(node.plugins()) == 1


async def test_the_plugin_outlives_sshd_and_is_found_again(node, link):
    clock = Clock()
    one = link(clock)
    await one.open()
    (plugin,) = node.plugins()
    node.stop()
    await until(one._connection.is_closed)
    with pytest.raises(PausedError) as caught:
        await one.open()
    assert "127.0.0.1 cannot be reached: " in str(caught.value)
    assert node.plugins() == [plugin]
    node.start()
    clock.ahead += timedelta(minutes=2)
    await info_of(await one.open())
    assert node.plugins() == [plugin]


async def test_a_plugin_that_was_killed_is_started_again(node, link):
    clock = Clock()
    one = link(clock)
    await one.open()
    (plugin,) = node.plugins()
    os.kill(plugin, signal.SIGKILL)
    await until(lambda: node.has_ended(plugin))
    clock.ahead += timedelta(seconds=10)
    assert (await info_of(await one.open())).site == "big"
    assert node.plugins() != [plugin]


async def test_a_host_key_that_changed_pauses_the_site(node, link):
    with pytest.raises(PausedError, match="host key of 127.0.0.1 is not a trusted one"):
        await link(known_hosts=str(node.known_hosts("impostor"))).open()
    assert node.plugins() == []


async def test_forbidden_forwarding_and_an_absent_plugin_say_so(
    node, link, monkeypatch
):
    with monkeypatch.context() as impatient:
        impatient.setattr("offload.link.reaching.START_S", 1.0)
        with pytest.raises(PausedError, match=r"does not start on .*/no/such/plugin"):
            await link(command="/no/such/plugin").open()
    await link().open()  # it runs from now on, however long its start took
    node.stop()
    node.options = {"AllowStreamLocalForwarding": "no"}
    node.start()
    monkeypatch.setattr("offload.link.reaching.START_S", 1.0)
    with pytest.raises(PausedError, match="AllowStreamLocalForwarding"):
        await link().open()


async def test_a_certificate_of_the_site_ends_and_is_renewed(node, link):
    node.key("authority")
    node.stop()
    node.options = {
        "TrustedUserCAKeys": str(node.folder / "authority.pub"),
        "AuthorizedKeysFile": "none",
    }
    node.start()
    key = node.key("person")

    def certify(validity):
        words = ["ssh-keygen", "-q", "-s", node.folder / "authority", "-I", "person"]
        words += ["-n", node.user, "-V", validity, f"{key}.pub"]
        subprocess.run(words, check=True, capture_output=True)

    certify("-8h:+20m")
    one = link(identity=str(key))
    await info_of(await one.open())
    assert isinstance(one.state, Reachable)
    assert "person-cert.pub for 127.0.0.1 ends " in one.state.warning
    await one.close()
    certify("-8h:-1h")
    with pytest.raises(PausedError, match=r"person-cert\.pub ended "):
        await one.open()
    assert isinstance(one.state, Paused)
    certify("-1m:+8h")
    os.utime(f"{key}-cert.pub", (3, 3))
    await info_of(await one.open())
    assert one.state.warning == ""


@pytest.fixture
async def endpoint(node):
    settings = EndpointSettings(
        bind="127.0.0.1",
        port=0,
        host_key=node.key("facility"),
        directory=node.folder / "sockets",
        multi_user=False,
        keys=(
            AdmittedKey(site="far", person=node.user, key=node.public("site").strip()),
        ),
    )
    endpoint = Endpoint(settings)
    port = await endpoint.start()
    yield endpoint, port
    await endpoint.close()


def ssh(node, port, *words):
    """OpenSSH's client, as a site without our plugin's ``--dial`` may use it."""
    options = {
        "IdentityFile": node.key("site"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": node.known_hosts("facility", port),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "ExitOnForwardFailure": "yes",
        "BatchMode": "yes",
    }
    flags = [word for k, v in options.items() for word in ("-o", f"{k}={v}")]
    return ["ssh", "-F", "none", "-p", str(port), *flags, *words, "far@127.0.0.1"]


async def run(*words):
    process = await asyncio.create_subprocess_exec(
        *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out, err


async def test_openssh_may_dial_in_for_a_site(node, endpoint):
    endpoint, port = endpoint
    socket = endpoint.settings.socket(Way("far", node.user))
    path = node.folder / "p.sock"

    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    words = ssh(node, port, "-N", "-R", f"/plugin:{path}")
    client = await asyncio.create_subprocess_exec(*words)
    async with server:
        await until(socket.exists)
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"hello\n")
        assert await asyncio.wait_for(reader.read(-1), 60) == b"HELLO\n"
        writer.close()
        client.kill()
        await client.wait()
        await until(lambda: not socket.exists())
    assert b"its connection ended" in state_path(socket).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("-T",),
        ("-N", "-R", "0:127.0.0.1:22"),
        ("-s", "-T"),
    ],
)
async def test_openssh_gets_nothing_else(node, endpoint, words):
    _, port = endpoint
    code, out, err = await run(*ssh(node, port, *words))
    assert code != 0, err
    assert out == b""


async def test_openssh_cannot_reach_through(node, endpoint):
    _, port = endpoint
    code, out, err = await run(*ssh(node, port, "-W", f"127.0.0.1:{node.port}"))
    assert (code != 0, out) == (True, b""), err
