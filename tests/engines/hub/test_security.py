"""What strangers try at a real hub."""

import asyncio
import contextlib
import os
import re
import socket
import stat
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from dask_gateway_server.tls import new_keypair

from facility.client.hub_session import HubSession
from facility.marked import marked_processes

pytestmark = pytest.mark.engines

REFUSED = {301, 302, 401, 403, 404, 405}


_OPEN: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    while _OPEN:
        _OPEN.pop().close()


def _browser(hub, **options) -> httpx.Client:
    browser = httpx.Client(
        base_url=hub.runtime.public_url, timeout=20, verify=hub.trust(), **options
    )
    _OPEN.append(browser)
    return browser


def _logged_in(hub) -> httpx.Client:
    browser = _browser(hub)
    assert browser.get(hub.link()).status_code == 302
    assert browser.get("/hub/home").status_code == 200
    return browser


def _xsrf(browser: httpx.Client) -> str:
    return next(c.value for c in browser.cookies.jar if c.name == "_xsrf")


@pytest.fixture
def server_url(hub) -> str:
    """Path of a running server of the owner."""

    async def start() -> str:
        async with HubSession.login(hub.link()) as session:
            return (await session.start_server()).url

    return urlsplit(asyncio.run(start())).path


def test_a_link_works_once(hub):
    link = hub.link()
    assert _browser(hub).get(link).status_code == 302
    again = _browser(hub).get(link)
    assert again.status_code == 403
    assert "used or is too old" in again.text
    assert "jupyterhub-hub-login" not in again.cookies


def test_a_link_is_too_old_after_its_time(hub):
    answer = _browser(hub).get(hub.link(lifetime_s=0))
    assert answer.status_code == 403
    assert "jupyterhub-hub-login" not in answer.cookies


@pytest.mark.parametrize(
    "token",
    ["", "x", "..%2F..%2Fhub-cookie", "%00", "%ff", "a" * 10_000, "x&token=y"],
)
def test_what_is_no_token_does_not_log_in(hub, token):
    answer = _browser(hub).get(f"/hub/login?token={token}")
    assert answer.status_code in {400, 403}
    assert "jupyterhub-hub-login" not in answer.cookies


def test_a_link_for_a_user_who_is_not_allowed_does_not_log_in(hub):
    answer = _browser(hub).get(hub.link("mallory"))
    assert answer.status_code == 403
    assert "jupyterhub-hub-login" not in answer.cookies


def test_the_login_page_says_how_to_get_a_link_and_has_no_form(hub):
    page = _browser(hub).get("/hub/login")
    assert page.status_code == 200
    assert "facility token" in page.text
    assert "<form" not in page.text
    assert "password" not in page.text.lower()


def test_passwords_are_not_taken(hub):
    browser = _browser(hub)
    browser.get("/hub/login")
    form = {"username": hub.runtime.owner, "password": "x", "_xsrf": _xsrf(browser)}
    assert browser.post("/hub/login", data=form).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/hub/api/users",
        "/hub/api/users/{owner}",
        "/hub/api/proxy",
        "/hub/api/services",
        "/hub/home",
        "/hub/admin",
        "/user/{owner}/api/contents",
        "/user/{owner}/api/kernels",
        "/user/{owner}/lab",
        "/user/{owner}/files/.ssh/id_rsa",
    ],
)
@pytest.mark.parametrize("kind", ["nobody", "forged cookie", "forged token"])
def test_strangers_are_refused(hub, server_url, path, kind):
    owner = hub.runtime.owner
    browser = _browser(hub)
    if kind == "forged cookie":
        forged = '"2|1:0|10:1700000000|20:jupyterhub-hub-login|4:Zm9v|' + "0" * 64 + '"'
        browser.cookies.set("jupyterhub-hub-login", forged)
        browser.cookies.set(f"jupyterhub-user-{owner}", forged)
        browser.cookies.set("jupyterhub-session-id", "0" * 32)
    elif kind == "forged token":
        browser.headers["Authorization"] = f"token {'0' * 32}"
    answer = browser.get(path.format(owner=owner))
    assert answer.status_code in REFUSED
    if answer.is_redirect:
        assert re.search(r"/hub/(login|api/oauth2)", answer.headers["location"])


def test_a_cookie_without_the_xsrf_answer_changes_nothing(hub):
    browser = _logged_in(hub)
    url = f"/hub/api/users/{hub.runtime.owner}/tokens"
    assert browser.post(url, json={}).status_code == 403
    assert browser.post(url, json={}, headers={"X-XSRFToken": "x"}).status_code == 403
    good = browser.post(url, json={}, headers={"X-XSRFToken": _xsrf(browser)})
    assert good.status_code == 201


def test_cookies_are_for_this_path_and_not_for_scripts(hub):
    answer = _browser(hub).get(hub.link())
    (login,) = [
        value
        for value in answer.headers.get_list("set-cookie")
        if value.startswith("jupyterhub-hub-login=")
    ]
    assert "HttpOnly" in login
    assert "Path=/hub/" in login


def test_over_tls_cookies_are_for_tls_only(start_hub, tmp_path):
    paths = {}
    for name, pem in zip(
        ("tls_certificate", "tls_key"), new_keypair("facility"), strict=True
    ):
        paths[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(pem)
    hub = start_hub(hub=paths)
    assert hub.runtime.public_url.startswith("https://")
    browser = _browser(hub)
    answer = browser.get(hub.link())
    assert answer.status_code == 302
    for cookie in answer.headers.get_list("set-cookie"):
        assert "Secure" in cookie
    assert browser.get("/hub/home").status_code == 200


def test_the_token_does_not_travel_on_with_the_redirect(hub):
    answer = _browser(hub).get(hub.link())
    assert "token" not in answer.headers["location"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip"])
def test_a_link_through_a_foreign_proxy_is_refused_and_stays_good(hub, header):
    link = hub.link()
    stranger = _browser(hub, headers={header: "203.0.113.7"})
    answer = stranger.get(link)
    assert answer.status_code == 403
    assert "jupyterhub-hub-login" not in answer.cookies
    assert link.partition("token=")[2] not in hub.log("hub")
    assert _browser(hub).get(link).status_code == 302


def _addresses_beyond_loopback() -> list[str]:
    return [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]


def test_nothing_of_ours_listens_beyond_loopback(hub, server_url):
    listening = []
    for process in marked_processes(hub.runtime.id):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found = psutil.Process(process.identity.pid).net_connections("tcp")
            listening += [c.laddr for c in found if c.status == psutil.CONN_LISTEN]
    ports = {address.port for address in listening}
    assert {hub.runtime.ports.hub, hub.runtime.ports.hub_api} <= ports
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}
    for beyond in _addresses_beyond_loopback():
        for port in (hub.runtime.ports.hub, hub.runtime.ports.hub_api):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((beyond, port), timeout=5)


@pytest.mark.parametrize(
    "path",
    [
        "/hub/static/../../../../../../etc/passwd",
        "/hub/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/hub/logo/../../etc/passwd",
        "/user/..%2f..%2fhub/api/users",
        "/user/%2e%2e/hub/api/users",
        "/hub/api/users/..%2f..%2fadmin",
        "/hub/api/users/%2e%2e/server",
        "/hub/user/..%2fother/",
    ],
)
def test_paths_do_not_lead_out(hub, path):
    # A raw socket: clients tidy such paths up before they send them.
    with socket.create_connection(("127.0.0.1", hub.runtime.ports.hub), 10) as raw:
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode("utf-8", "replace")
    status = int(answer.split()[1])
    assert status in REFUSED | {400}
    assert "root:" not in answer


@pytest.mark.parametrize("name", ["..", "../x", "a/b", ".ssh", "%2e%2e%2fx"])
def test_files_outside_the_server_are_out_of_reach(hub, server_url, name):
    async def attempt() -> int:
        async with HubSession.login(hub.link()) as session:
            server = await session.start_server()
            answer = await server._client.get(f"/api/contents/{name}/../../etc/passwd")
            return answer.status_code

    assert asyncio.run(attempt()) in REFUSED | {400}


@pytest.mark.parametrize("name", ["..", "a/b", "../../etc", ".", "A b", "x" * 300])
def test_no_user_gets_a_name_that_is_a_path(hub, name):
    before = sorted(p.name for p in hub.runtime.log_dir.iterdir())
    answer = _browser(hub).get(hub.link(name))
    assert answer.status_code == 403
    assert sorted(p.name for p in hub.runtime.log_dir.iterdir()) == before


def _secrets(hub) -> dict[str, str]:
    return {
        path.name: path.read_text().strip()
        for path in hub.runtime.secrets_dir.iterdir()
        if path.is_file()
    }


def test_no_secret_is_in_the_arguments_of_a_process(hub, server_url):
    link = hub.link()
    hidden = {**_secrets(hub), "link": link.partition("token=")[2]}
    (server,) = hub.servers()
    hidden["server's token"] = server.environ()["JUPYTERHUB_API_TOKEN"]
    processes = marked_processes(hub.runtime.id)
    assert len(processes) >= 3
    for process in processes:
        for name, secret in hidden.items():
            assert secret not in " ".join(process.argv), name


def test_no_secret_is_in_a_log(hub, server_url):
    link = hub.link()
    used = hub.link()
    _browser(hub).get(used)
    _browser(hub).get(used)
    api_token = _logged_in_token(hub)
    for url in ("/hub/api/users", "/user/nobody/x", f"{server_url}/api/none"):
        _browser(hub).get(url, params={"token": api_token})
        _browser(hub).get(url, headers={"Authorization": f"token {api_token}"})
    (server,) = hub.servers()
    hidden = {
        **_secrets(hub),
        "unused link": link.partition("token=")[2],
        "used link": used.partition("token=")[2],
        "api token": api_token,
        "server's token": server.environ()["JUPYTERHUB_API_TOKEN"],
    }
    logs = list(hub.runtime.log_dir.iterdir())
    assert len(logs) >= 3
    for log in logs:
        text = log.read_text()
        assert text, log.name
        for name, secret in hidden.items():
            assert secret not in text, f"{name} in {log.name}"


def _logged_in_token(hub) -> str:
    browser = _logged_in(hub)
    answer = browser.post(
        f"/hub/api/users/{hub.runtime.owner}/tokens",
        json={"expires_in": 60},
        headers={"X-XSRFToken": _xsrf(browser)},
    )
    return answer.json()["token"]


def test_a_link_shown_to_a_hub_that_is_down_is_in_no_log(start_hub):
    hub = start_hub()
    hub.kill("hub")
    link = hub.link()
    assert _browser(hub).get(link).status_code == 503
    assert link.partition("token=")[2] not in hub.log("proxy")
    hub.start("hub")
    hub.wait_ready()
    assert _browser(hub).get(link).status_code == 302


def test_what_the_hub_keeps_is_private(hub, server_url):
    mine = [hub.runtime.state_dir / "hub.sqlite", *hub.runtime.log_dir.glob("server-*")]
    mine += [p for p in hub.runtime.secrets_dir.rglob("*") if p.is_file()]
    assert len(mine) > 5
    for path in mine:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, f"{path.name} has mode {mode:04o}"
        assert path.stat().st_uid == os.getuid()


def test_a_servers_token_cannot_administer(hub, server_url):
    (server,) = hub.servers()
    token = server.environ()["JUPYTERHUB_API_TOKEN"]
    browser = _browser(hub, headers={"Authorization": f"token {token}"})
    assert browser.get("/hub/api/user").status_code == 200
    for method, path in (
        ("GET", "/hub/api/users"),
        ("GET", "/hub/api/proxy"),
        ("POST", f"/hub/api/users/{hub.runtime.owner}/tokens"),
        ("DELETE", f"/hub/api/users/{hub.runtime.owner}/server"),
        ("POST", "/hub/api/shutdown"),
    ):
        assert browser.request(method, path).status_code in {403, 404}, path


def test_the_facility_command_sees_servers_and_nothing_more(hub, server_url):
    token = hub.runtime.secret("admin-token")
    browser = _browser(hub, headers={"Authorization": f"token {token}"})
    (user,) = browser.get("/hub/api/users").json()
    assert user["name"] == hub.runtime.owner
    assert user["servers"][""]["ready"]
    tokens = browser.post(f"/hub/api/users/{hub.runtime.owner}/tokens", json={})
    assert tokens.status_code in {403, 404}
    assert browser.get(f"{server_url}/api/contents").status_code in {302, 403}


def test_kernels_do_not_talk_in_the_clear(hub, folder, notebook, printed):
    async def connection() -> str:
        async with HubSession.login(hub.link()) as session:
            server = await session.start_server()
            executed = await server.execute(
                notebook(
                    "import ipykernel.connect as c\n"
                    "i = c.get_connection_info(unpack=True)\n"
                    "print(i['transport'], bool(i.get('curve_publickey')))"
                ),
                path=f"{folder}/run.ipynb",
            )
            return printed(executed, 0).strip()

    assert asyncio.run(connection()) in {"tcp True", "ipc False"}
