"""What a network's proxy is not asked for."""

import urllib.request

import httpx
import pytest

from facility.local.direct import direct


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1,10.0.0.5"),
        ({"NO_PROXY": "*"}, "*"),
        (
            {"NO_PROXY": " .cern.ch, localhost "},
            ".cern.ch,localhost,127.0.0.1,::1,10.0.0.5",
        ),
        ({"no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1,localhost,::1,10.0.0.5"),
    ],
)
def test_the_loopback_and_the_given_hosts_are_added_to_what_is_set(
    environment, expected
):
    found = direct(environment, "10.0.0.5")
    assert found == {"no_proxy": expected, "NO_PROXY": expected}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_clients_understand_it(host, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    for name, value in direct({}).items():
        monkeypatch.setenv(name, value)
    assert urllib.request.proxy_bypass(host)
    client = httpx.Client()
    transport = client._transport_for_url(httpx.URL(f"http://{host}:8000/hub"))
    assert transport is client._transport
