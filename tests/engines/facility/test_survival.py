"""What a person has open lives on when parts of the facility die."""

import asyncio
import contextlib
import os
import signal
import time

import httpx
import pytest

from facility.client.hub_session import HubSession
from facility.local.login import login_link
from facility.local.paths import Place
from facility.local.report import make_report
from facility.local.start import start
from facility.local.stop import stop
from facility.marked import marked_processes
from facility.process import identify, wait_gone
from facility.spec import Facility

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield Place.of(tmp_path)
    stop(tmp_path)


def notebook_servers(facility_id: str) -> list[int]:
    return [
        process.identity.pid
        for process in marked_processes(facility_id)
        if "hub_config.singleuser" in process.argv
    ]


async def until_it_answers(server, timeout_s: float = 100.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            answer = await server._client.get("/api/status")
            if answer.status_code == httpx.codes.OK:
                return
        await asyncio.sleep(0.1)
    pytest.fail("the server does not answer again")


async def test_a_notebook_server_outlives_everything_around_it(place):
    runtime = start(place.directory, Facility()).runtime
    async with HubSession.login(login_link(runtime)) as session:
        server = await session.start_server()
        (pid,) = notebook_servers(runtime.id)
        report = make_report(place)
        assert report is not None
        assert report.servers == 1
        assert report.clusters == 0
        for victim in ("hub", "proxy", "gateway", "gateway-proxy", "supervisor"):
            report = make_report(place)
            assert report is not None
            (row,) = [row for row in report.processes if row.name == victim]
            assert row.pid is not None
            identity = identify(row.pid)
            assert identity is not None
            os.kill(row.pid, signal.SIGKILL)
            assert await wait_gone(identity, 60)
            start(place.directory, Facility())
            await until_it_answers(server)
            assert notebook_servers(runtime.id) == [pid]
        # The hub that came back knows the server as running.
        again = await session.start_server()
        await until_it_answers(again)
        assert notebook_servers(runtime.id) == [pid]
    await asyncio.to_thread(stop, place.directory)
    assert marked_processes(runtime.id) == []
