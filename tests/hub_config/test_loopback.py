import pytest

from hub_config.loopback import came_from_here, is_loopback


@pytest.mark.parametrize(
    ("address", "yes"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::ffff:8.8.8.8", False),
        ("localhost", False),
        ("127.0.0.1.evil.example", False),
        ("127.1", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_recognised(address, yes):
    assert is_loopback(address) is yes


@pytest.mark.parametrize(
    ("peer", "forwarded", "yes"),
    [
        ("127.0.0.1", [], True),
        ("127.0.0.1", [",127.0.0.1"], True),
        ("127.0.0.1", ["127.0.0.1", ",127.0.0.1"], True),
        ("192.168.1.4", [], False),
        ("192.168.1.4", ["127.0.0.1"], False),
        ("127.0.0.1", ["203.0.113.7"], False),
        ("127.0.0.1", ["203.0.113.7, 127.0.0.1"], False),
        ("127.0.0.1", ["127.0.0.1, unknown"], False),
        (None, [], False),
    ],
)
def test_one_strange_hop_is_enough_to_say_no(peer, forwarded, yes):
    assert came_from_here(peer, forwarded) is yes
