import errno
import os
import socket

import pytest

from facility.errors import UsageError
from facility.local.ports import (
    FIRST,
    LAST,
    RESERVED,
    choose_ports,
    load_ports,
    probe,
    save_ports,
)
from facility.runtime import Ports

KEPT = Ports(hub=1, hub_api=2, proxy_api=3, gateway=4, gateway_tls=5, gateway_api=6)


def free_but(*taken):
    return lambda _address, port: errno.EADDRINUSE if port in taken else 0


def test_six_different_ports_that_depend_on_the_identity_alone():
    one = choose_ports("a-1", "127.0.0.1", 0, None, free_but())
    again = choose_ports("a-1", "127.0.0.1", 0, None, free_but())
    other = choose_ports("b-2", "127.0.0.1", 0, None, free_but())
    numbers = list(one.model_dump().values())
    assert one == again != other
    assert len(set(numbers)) == 6
    assert all(FIRST <= n <= LAST for n in numbers)


def test_kept_ports_stay_unless_somebody_took_them():
    assert choose_ports("a-1", "127.0.0.1", 0, KEPT, free_but()) == KEPT
    moved = choose_ports("a-1", "127.0.0.1", 0, KEPT, free_but(2, 5))
    assert moved.hub == 1
    assert moved.hub_api >= FIRST
    assert moved.gateway_tls >= FIRST
    assert moved.gateway_api == 6


def test_a_fixed_port_is_the_hubs_and_nobody_elses():
    chosen = choose_ports("a-1", "127.0.0.1", 3, KEPT, free_but())
    assert chosen.hub == 3
    assert chosen.proxy_api != 3


def test_the_range_is_searched_round_its_end():
    only = FIRST + 5
    taken = set(range(FIRST, LAST + 1)) - set(range(only, only + 6))
    chosen = choose_ports("a-1", "127.0.0.1", 0, None, free_but(*taken))
    assert sorted(chosen.model_dump().values()) == list(range(only, only + 6))


def test_no_free_port_is_a_line():
    with pytest.raises(UsageError) as caught:
        choose_ports("a-1", "127.0.0.1", 0, None, free_but(*range(FIRST, LAST + 1)))
    assert str(caught.value) == "no free TCP port between 20000 and 31999 on 127.0.0.1"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_names_who_has_it(listener):
    with pytest.raises(UsageError) as caught:
        choose_ports("a-1", "127.0.0.1", listener, None)
    line = str(caught.value)
    start = f"hub.port: 127.0.0.1:{listener} is in use by process {os.getpid()} ("
    assert line.startswith(start)
    assert line.endswith("): stop it, choose another port, or set 0 for a free one")
    assert "\n" not in line


def test_a_port_with_a_listener_is_in_use(listener):
    assert probe("127.0.0.1", listener) == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("bind", "port", "number", "line"),
    [
        (
            "127.0.0.1",
            443,
            errno.EACCES,
            (
                "hub.port: 443 is for root only: choose one above 1023, or set 0 for a "
                "free one"
            ),
        ),
        (
            "192.0.2.1",
            0,
            errno.EADDRNOTAVAIL,
            (
                "hub.bind: '192.0.2.1' is no address of this machine (Cannot assign "
                "requested address): `ip address` lists them"
            ),
        ),
        (
            "nowhere.invalid",
            0,
            socket.EAI_NONAME,
            (
                "hub.bind: 'nowhere.invalid' is no address of this machine (unknown "
                "name): `ip address` lists them"
            ),
        ),
    ],
)
def test_what_cannot_be_bound_is_a_line(bind, port, number, line):
    with pytest.raises(UsageError) as caught:
        choose_ports("a-1", bind, port, None, lambda *_: number)
    assert str(caught.value) == line
    if port == 0:
        assert probe(bind, port) == number


def test_saved_ports_are_loaded(tmp_path):
    path = tmp_path / "ports.json"
    assert load_ports(path) is None
    save_ports(path, KEPT)
    assert load_ports(path) == KEPT
    path.write_text("{")
    assert load_ports(path) is None


def test_root_listens_where_nobody_else_can():
    """Who takes the hub's port while it restarts would be sent everybody's cookies."""
    before = choose_ports("a-1", "127.0.0.1", 0, None, free_but())
    ports = choose_ports("a-1", "127.0.0.1", 0, before, free_but(), reserved=True)
    numbers = ports.model_dump().values()
    assert set(numbers) <= set(RESERVED)
    assert len(set(numbers)) == 6
    again = choose_ports("a-1", "127.0.0.1", 0, ports, free_but(), reserved=True)
    assert again == ports
