"""Which registry, and who we are there."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest

from offload.snapshot.registry.address import RegistryAddress, is_loopback
from offload.snapshot.registry.credentials import (
    Credentials,
    find_credentials,
    read_credentials,
)
from offload.snapshot.registry.errors import (
    RegistryAddressError,
    RegistryRefusedError,
)
from offload.snapshot.registry.login import Login

WORD = "a good one"


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("https://r.example.org/group/snapshots", "r.example.org", "group/snapshots"),
        ("https://r.example.org:5000/a", "r.example.org:5000", "a"),
        ("http://[::1]:5000/a_b/c.d/e--f/", "[::1]:5000", "a_b/c.d/e--f"),
    ],
)
def test_an_address(url, host, name):
    address = RegistryAddress.parse(url)
    assert (address.host, address.name) == (host, name)
    assert address.root == f"{address.scheme}://{host}/v2/{name}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "r.example.org/a",
        "ftp://r.example.org/a",
        "https:///a",
        "https://r.example.org",
        "https://r.example.org/",
        "https://r.example.org/Upper",
        "https://r.example.org/a//b",
        "https://r.example.org/a?tag=1",
        "https://r.example.org:port/a",
    ],
)
def test_what_is_no_address_is_said(url):
    with pytest.raises(RegistryAddressError, match="expected"):
        RegistryAddress.parse(url)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(RegistryAddressError) as error:
        RegistryAddress.parse("https://me:hunter22@r.example.org/a")
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:5000", True),
        ("localhost", True),
        ("[::1]:1", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_what_this_machine_is(host, expected):
    assert is_loopback(host) is expected


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_of_ones_own(tmp_path):
    path = write(tmp_path / "c", f"me:{WORD}:2\n")
    found = read_credentials(path)
    assert (found.username, found.password) == ("me", f"{WORD}:2")
    assert WORD not in repr(found)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"me:{WORD}", 0o640, "chmod 600"),
        (f"me:{WORD}", 0o604, "chmod 600"),
        (WORD, 0o600, "one line USERNAME:PASSWORD"),
        (f"me:{WORD}\nmore", 0o600, "one line"),
    ],
)
def test_a_file_that_is_not_as_it_should_be(tmp_path, text, mode, said):
    with pytest.raises(RegistryAddressError, match=said) as error:
        read_credentials(write(tmp_path / "c", text, mode))
    assert WORD not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RegistryAddressError, match="No such file"):
        read_credentials(tmp_path / "c")


def auth(name: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{WORD}".encode()).decode()}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"auths": {"r.org": auth("host")}}, "host"),
        ({"auths": {"https://r.org/": auth("url")}}, "url"),
        ({"auths": {"r.org": auth("host"), "r.org/group": auth("group")}}, "group"),
        ({"auths": {"r.org/other": auth("other")}}, None),
        ({"auths": {"r.org.evil.org": auth("other")}}, None),
        ({"auths": {"r.org": {"username": "me", "password": WORD}}}, "me"),
        ({"auths": {"r.org": {}}}, None),
        ({"auths": {"r.org": {"auth": "?"}}}, None),
        ({"auths": []}, None),
        ([], None),
    ],
)
def test_what_docker_login_left(tmp_path, config, expected):
    (tmp_path / "config.json").write_text(json.dumps(config))
    address = RegistryAddress.parse("https://r.org/group/snapshots")
    found = find_credentials(address, {"DOCKER_CONFIG": str(tmp_path)})
    assert (found and found.username) == expected
    assert found is None or found.password == WORD


def test_a_helper_of_the_system_is_asked(tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-mine"
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text('{"credsStore": "mine"}')
    address = RegistryAddress.parse("https://r.org/a")
    found = find_credentials(address, {"DOCKER_CONFIG": str(tmp_path)})
    assert found == Credentials("r.org", "s")


def challenged(challenge: str, token: httpx.Response | None = None):
    """Return a client of a token server, what it was asked, and a response 401."""
    asked: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return token or httpx.Response(200, json={"token": "t"})

    client = httpx.Client(transport=httpx.MockTransport(serve))
    request = httpx.Request("GET", "https://r.org/v2/")
    refused = httpx.Response(
        401, headers={"WWW-Authenticate": challenge}, request=request
    )
    return client, asked, refused


BEARER = 'Bearer realm="https://t.org/x",service="s",scope="repository:a:pull"'
ADDRESS = RegistryAddress.parse("https://r.org/a")


def test_basic_is_tried_once():
    client, _, refused = challenged('Basic realm="r"')
    login = Login(ADDRESS, Credentials("me", WORD))
    assert login.answer(client, refused)
    sent = login.headers()["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"me:{WORD}"
    refused.request.headers["Authorization"] = sent
    assert not login.answer(client, refused)


def test_a_token_is_fetched_for_the_scope_that_is_wanted():
    client, asked, refused = challenged(BEARER)
    login = Login(ADDRESS, Credentials("me", WORD))
    assert login.answer(client, refused)
    assert login.headers() == {"Authorization": "Bearer t"}
    assert dict(asked[0].url.params) == {"service": "s", "scope": "repository:a:pull"}
    assert asked[0].headers["Authorization"].startswith("Basic ")


def test_an_identity_token_is_exchanged():
    client, asked, refused = challenged(BEARER)
    login = Login(ADDRESS, Credentials("", "", "identity"))
    assert login.answer(client, refused)
    assert asked[0].method == "POST"
    assert b"refresh_token=identity" in asked[0].content


def test_nobody_gets_a_token_where_anybody_may_read():
    client, asked, refused = challenged(BEARER)
    assert Login(ADDRESS, None).answer(client, refused)
    assert "Authorization" not in asked[0].headers


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="http://t.org/x",service="s"',  # others can listen
        'Bearer realm="/etc/passwd"',
        "Bearer",
    ],
)
def test_credentials_go_only_where_nobody_listens(challenge):
    client, asked, refused = challenged(challenge)
    with pytest.raises(RegistryRefusedError):
        Login(ADDRESS, Credentials("me", WORD)).answer(client, refused)
    assert asked == []


def test_a_password_does_not_travel_in_the_clear():
    client, _, refused = challenged('Basic realm="r"')
    address = RegistryAddress.parse("http://r.org/a")
    with pytest.raises(RegistryRefusedError, match="use https"):
        Login(address, Credentials("me", WORD)).answer(client, refused)


def test_a_token_server_that_says_no():
    client, _, refused = challenged(BEARER, httpx.Response(401))
    with pytest.raises(RegistryRefusedError, match="no token to me") as error:
        Login(ADDRESS, Credentials("me", WORD)).answer(client, refused)
    assert WORD not in str(error.value)


def test_an_unknown_challenge_is_not_answered():
    client, _, refused = challenged("Negotiate")
    assert not Login(ADDRESS, Credentials("me", WORD)).answer(client, refused)
