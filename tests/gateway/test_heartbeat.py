import os
import socket
from collections.abc import Iterator

import pytest

from gateway.heartbeat import check
from gateway.peers import TABLE


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def message(port: int, **changes: object) -> dict[str, object]:
    return {
        "count": 2,
        "active_workers": ["a"],
        "closing_workers": [],
        "closed_workers": [],
        "scheduler_address": f"tls://127.0.0.1:{port}",
        "dashboard_address": f"http://127.0.0.1:{port}",
        "api_address": f"http://127.0.0.1:{port}",
        **changes,
    }


def test_a_schedulers_own_is_taken(port: int) -> None:
    table = TABLE.read_text()
    assert check(message(port), uid=os.getuid(), table=table) is None
    without = message(port, dashboard_address="")
    assert check(without, uid=os.getuid(), table=table) is None


def test_somebody_elses_ports_are_not(port: int) -> None:
    why = check(message(port), uid=os.getuid() + 1, table=TABLE.read_text())
    assert f"127.0.0.1:{port} is not a port of the cluster's user" in why


@pytest.mark.parametrize(
    "changes",
    [
        {"dashboard_address": 7},
        {"dashboard_address": ["http://127.0.0.1:80"]},
        {"dashboard_address": "://%zz"},
        {"dashboard_address": "http://127.0.0.1:80/somewhere/else?"},
        {"api_address": "http://192.0.2.1:80"},
        {"api_address": ""},
        {"scheduler_address": {"a": 1}},
        {"scheduler_address": "tls://127.0.0.1:80\n"},
        {"scheduler_address": "tls://127.0.0.1:٨٠"},
        {"count": 1.5},
        {"count": "2"},
        {"count": float("nan")},
        {"count": -1},
        {"count": 10**30},
        {"active_workers": 7},
        {"active_workers": [[]]},
    ],
)
def test_what_would_break_the_gateway_or_its_proxy_is_refused(port, changes) -> None:
    why = check(message(port, **changes), uid=os.getuid(), table=TABLE.read_text())
    assert why.startswith(f"heartbeat: {next(iter(changes))}")
    assert "\n" not in why


@pytest.mark.parametrize("sent", [None, [], "x", 7, {}])
def test_what_is_no_heartbeat_is_refused(sent) -> None:
    assert check(sent, uid=os.getuid(), table=TABLE.read_text())
