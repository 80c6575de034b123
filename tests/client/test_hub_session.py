"""A hub that is still busy with the server before."""

import httpx
import pytest

from facility.client import hub_session
from facility.client.hub_session import HubSession
from facility.errors import FacilityError

URL = "http://127.0.0.1:1"
STOPPING = httpx.Response(400, json={"message": "physicist: is pending stop"})
RUNNING = httpx.Response(400, json={"message": "physicist is already running"})


@pytest.fixture
async def asked(monkeypatch):
    """A session whose hub gives these answers in turn when asked for the server."""
    monkeypatch.setattr(hub_session, "_RETRY_S", 0.001)
    answers: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/tokens"):
            return httpx.Response(201, json={"id": "a1", "token": "x"})
        if request.url.path.endswith("/server"):
            return answers.pop(0)
        return httpx.Response(204)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url=URL, transport=transport) as client:
        session = HubSession(client, URL, "physicist")
        yield session, answers
        await session._disconnect()


async def test_a_start_waits_for_the_end_of_the_server_before(asked):
    session, answers = asked
    answers += [STOPPING, STOPPING, RUNNING]
    assert (await session.start_server()).url == f"{URL}/user/physicist"
    assert answers == []


async def test_a_server_that_is_on_its_way_out_is_waited_for(asked):
    session, answers = asked
    answers += [httpx.Response(202), httpx.Response(202), httpx.Response(204)]
    await session.stop_server()
    assert answers == []


async def test_a_server_that_does_not_end_is_one_line(asked):
    session, answers = asked
    answers += [httpx.Response(202)] * 2
    with pytest.raises(FacilityError, match=r"^the server of physicist has not ended"):
        await session.stop_server(timeout_s=0)
