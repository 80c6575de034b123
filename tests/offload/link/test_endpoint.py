"""Where sites dial in: what gets in, what it gets, and what everybody else gets."""

import asyncio
import contextlib
import json
from datetime import UTC, date, datetime

import asyncssh
import pytest

from offload.link.admission import Way, state_path
from offload.link.dial import Facility, dial
from offload.link.endpoint import STRANGERS, Endpoint
from offload.link.state import Paused, Reachable, from_json


class Clock:
    def __init__(self):
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


@contextlib.asynccontextmanager
async def serving(settings, clock=None):
    endpoint = Endpoint(settings, clock or Clock())
    port = await endpoint.start()
    try:
        yield endpoint, port
    finally:
        await endpoint.close()


@contextlib.asynccontextmanager
async def dialing(keys, port, plugin, site="far", key="site", states=None):
    facility = Facility.parse(
        f"127.0.0.1:{port}",
        site=site,
        key=keys.private(key),
        known_hosts=keys.trust("host", port),
    )
    states = [] if states is None else states
    task = asyncio.ensure_future(dial(facility, plugin, states.append))
    try:
        yield states
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def state_of(settings, site="far", person="anna"):
    path = state_path(settings.socket(Way(site, person)))
    return from_json(json.loads(path.read_text()))


async def test_a_site_that_dials_in_is_reached_at_its_persons_socket(
    keys, endpoint_settings, plugin, say, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    socket = settings.socket(Way("far", "anna"))
    async with serving(settings) as (_, port):
        assert state_of(settings) == Paused("far has not dialed in yet")
        async with dialing(keys, port, plugin):
            await eventually(socket.exists)
            answers = await asyncio.gather(*(say(socket, b"x%d" % n) for n in range(9)))
            assert answers == [b"X%d" % n for n in range(9)]
            assert socket.stat().st_mode & 0o777 == 0o600
            assert socket.parent.stat().st_mode & 0o777 == 0o700
            assert state_of(settings) == Reachable()
        await eventually(lambda: not socket.exists())
        lost = state_of(settings)
        assert isinstance(lost, Paused)
        assert lost.reason.startswith("far dialed in, but its connection ended")
    assert state_of(settings) == Paused("the facility is down")


async def test_large_transfers_are_byte_equal_both_ways(
    keys, endpoint_settings, short_path, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    content = bytes(range(256)) * 40_000

    async def echo(reader, writer):
        writer.write(await reader.readexactly(len(content)))
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(echo, short_path / "p.sock")
    socket = settings.socket(Way("far", "anna"))
    async with (
        server,
        serving(settings) as (_, port),
        dialing(keys, port, short_path / "p.sock"),
    ):
        await eventually(socket.exists)
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(content)
        assert await asyncio.wait_for(reader.read(-1), 30) == content
        writer.close()


@pytest.mark.parametrize(
    ("site", "key"), [("far", "stranger"), ("other", "site"), ("unknown", "site")]
)
async def test_another_key_or_another_sites_key_does_not_get_in(
    keys, endpoint_settings, plugin, eventually, site, key
):
    settings = endpoint_settings(
        ("far", "anna", "site", None), ("other", "bert", "others", None)
    )
    async with (
        serving(settings) as (_, port),
        dialing(keys, port, plugin, site=site, key=key) as states,
    ):
        refused = await eventually(lambda: states and states[0])
        assert isinstance(refused, Paused)
        assert refused.reason == f"127.0.0.1:{port} accepts no key that it was offered"
        assert refused.until is not None
        assert isinstance(state_of(settings), Paused)


async def test_a_facility_with_another_host_key_is_not_believed(
    keys, endpoint_settings, plugin, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    async with serving(settings) as (_, port):
        facility = Facility.parse(
            f"127.0.0.1:{port}",
            site="far",
            key=keys.private("site"),
            known_hosts=keys.trust("impostor", port),
        )
        states = []
        task = asyncio.ensure_future(dial(facility, plugin, states.append))
        refused = await eventually(lambda: states and states[0])
        task.cancel()
        assert "host key of 127.0.0.1" in refused.reason
        assert "not a trusted one" in refused.reason


async def test_a_connection_that_is_cut_comes_back(
    keys, endpoint_settings, plugin, say, eventually, monkeypatch
):
    monkeypatch.setattr("offload.link.dial.delay_s", lambda _: 0.01)
    settings = endpoint_settings(("far", "anna", "site", None))
    socket = settings.socket(Way("far", "anna"))
    async with serving(settings) as (endpoint, port), dialing(keys, port, plugin) as s:
        for _ in range(3):
            await eventually(socket.exists)
            assert await say(socket, b"a") == b"A"
            ((_, connection),) = endpoint._connections.values()
            seen = len(s)
            connection.end("cut")
            await eventually(lambda seen=seen: s[seen:].count(Reachable()))


async def test_a_site_that_dials_in_again_replaces_its_former_connection(
    keys, endpoint_settings, plugin, say, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    socket = settings.socket(Way("far", "anna"))
    async with serving(settings) as (_, port), dialing(keys, port, plugin) as first:
        await eventually(socket.exists)
        async with dialing(keys, port, plugin):
            ended = await eventually(lambda: first[1:] and first[1])
            assert isinstance(ended, Paused)
            await eventually(socket.exists)
            assert await say(socket, b"b") == b"B"


async def test_a_key_warns_before_its_end_and_pauses_the_site_after(
    keys, endpoint_settings, plugin, eventually
):
    settings = endpoint_settings(("far", "anna", "site", date(2026, 6, 30)))
    clock = Clock()
    end = datetime(2026, 7, 1, tzinfo=UTC)
    socket = settings.socket(Way("far", "anna"))
    async with serving(settings, clock) as (endpoint, port):
        async with dialing(keys, port, plugin):
            await eventually(socket.exists)
            assert state_of(settings) == Reachable(end)
            clock.now = datetime(2026, 6, 29, tzinfo=UTC)
            endpoint.check()
            warned = state_of(settings)
            assert warned == Reachable(
                end, "the key with which far dials in is accepted until 2026-06-30 only"
            )
            clock.now = end
            endpoint.check()
            paused = state_of(settings)
            assert isinstance(paused, Paused)
            assert "was accepted until 2026-06-30: put a later day" in paused.reason
            await eventually(lambda: not socket.exists())
        assert state_of(settings) == paused


async def refused(attempt):
    with pytest.raises((asyncssh.Error, asyncssh.ChannelListenError, OSError)):
        await asyncio.wait_for(attempt, 10)


async def test_everything_but_the_one_forward_is_refused(
    keys, endpoint_settings, plugin, short_path
):
    settings = endpoint_settings(("far", "anna", "site", None))
    async with serving(settings) as (_, port):
        async with asyncssh.connect(
            "127.0.0.1",
            port,
            username="far",
            client_keys=[str(keys.private("site"))],
            known_hosts=str(keys.trust("host", port)),
            config=[],
            agent_path=None,
        ) as site:
            await refused(site.run("true", check=True))
            await refused(site.run(check=True, term_type="xterm"))
            await refused(site.start_sftp_client())
            await refused(site.open_connection("127.0.0.1", port))
            await refused(site.open_unix_connection(str(plugin)))
            await refused(site.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port))
            await refused(site.forward_remote_port("", 0, "127.0.0.1", port))
            await site.forward_remote_path("/etc/wanted/elsewhere", str(plugin))
            await refused(site.forward_remote_path("/second", str(plugin)))
        there = sorted(p.name for p in (short_path / "sockets/anna").iterdir())
        assert set(there) <= {"far.sock", "far.json"}


@pytest.mark.parametrize("password", ["", "site"])
async def test_passwords_are_refused(keys, endpoint_settings, password):
    settings = endpoint_settings(("far", "anna", "site", None))
    async with serving(settings) as (_, port):
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                "127.0.0.1",
                port,
                username="far",
                password=password,
                client_keys=None,
                known_hosts=str(keys.trust("host", port)),
                config=[],
                agent_path=None,
            )


async def test_strangers_cannot_fill_the_endpoint(
    keys, endpoint_settings, plugin, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    async with serving(settings) as (endpoint, port):
        silent = [
            await asyncio.open_connection("127.0.0.1", port)
            for _ in range(STRANGERS + 5)
        ]
        await eventually(lambda: len(endpoint._strangers) == STRANGERS)
        for _, writer in silent:
            writer.close()
        await eventually(lambda: not endpoint._strangers)
        async with dialing(keys, port, plugin) as states:
            await eventually(lambda: Reachable() in states)


async def test_of_those_who_ask_for_nothing_one_is_kept(
    keys, endpoint_settings, plugin, say, eventually
):
    settings = endpoint_settings(("far", "anna", "site", None))
    socket = settings.socket(Way("far", "anna"))
    async with serving(settings) as (_, port), dialing(keys, port, plugin):
        await eventually(socket.exists)
        silent = [
            await asyncssh.connect(
                "127.0.0.1",
                port,
                username="far",
                client_keys=[str(keys.private("site"))],
                known_hosts=str(keys.trust("host", port)),
                config=[],
                agent_path=None,
            )
            for _ in range(3)
        ]
        await eventually(lambda: [c.is_closed() for c in silent] == [True, True, False])
        assert await say(socket, b"x") == b"X"
        silent[-1].abort()
