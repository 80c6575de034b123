"""Several system users at one hub that runs as root."""

import os
import pwd
import secrets
import shutil
import subprocess

import httpx
import psutil
import pytest

from facility.client.hub_session import HubSession, ServerStartError

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can start others' servers"),
]


@pytest.fixture(scope="module")
def users(change_accounts):
    """Make two system users and remove them afterwards."""
    names = [f"facility-{secrets.token_hex(4)}" for _ in range(2)]
    for name in names:
        change_accounts("useradd", "--create-home", "--shell", "/bin/bash", name)
    yield names
    for name in names:
        uid = pwd.getpwnam(name).pw_uid
        change_accounts("userdel", "--remove", name)
        for shared in ("dask-scratch-space", "analysis-facility"):
            shutil.rmtree(f"/tmp/{shared}-{uid}", ignore_errors=True)


def _port(server: psutil.Process) -> int:
    (listening,) = [
        c.laddr.port
        for c in server.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port > 1024
    ]
    return listening


async def test_each_person_has_his_own_uid_and_nothing_of_the_others(
    start_hub, users, notebook, printed
):
    anna, bert = users
    hub = start_hub(users={"allowed": users})
    async with (
        HubSession.login(hub.link(anna)) as annas,
        HubSession.login(hub.link(bert)) as berts,
    ):
        assert (annas.user, berts.user) == (anna, bert)
        server = await annas.start_server()
        await berts.start_server()

        by_user = {p.environ()["JUPYTERHUB_USER"]: p for p in hub.servers()}
        assert set(by_user) == {anna, bert}
        for name, process in by_user.items():
            account = pwd.getpwnam(name)
            assert set(process.uids()) == {account.pw_uid}
            assert set(process.gids()) == {account.pw_gid}
            assert process.cwd() == account.pw_dir

        # What runs in her kernel is hers, and reads none of the facility's files.
        state = hub.runtime.state_dir
        attempts = [
            state / "hub.sqlite",
            state / "secrets" / "hub-cookie",
            state / "log" / f"server-{bert}.log",
            f"/proc/{by_user[bert].pid}/environ",
            f"{pwd.getpwnam(bert).pw_dir}/.local/share/jupyter/runtime",
        ]
        executed = await server.execute(
            notebook(
                "import os; print(os.getuid(), os.getgroups())",
                "import os\n"
                f"for path in {[str(a) for a in attempts]!r}:\n"
                "    try:\n"
                "        os.listdir(path) if os.path.isdir(path) else open(path).read()\n"
                "        print('READ', path)\n"
                "    except OSError as error:\n"
                "        print(type(error).__name__)",
            ),
            path="notebook.ipynb",
        )
        account = pwd.getpwnam(anna)
        assert printed(executed, 0).strip() == f"{account.pw_uid} [{account.pw_gid}]"
        assert "READ" not in printed(executed, 1)
        assert len(printed(executed, 1).split()) == len(attempts)

        # Neither her session nor her server's token opens his server.
        own_token = by_user[anna].environ()["JUPYTERHUB_API_TOKEN"]
        headers = {"Authorization": f"token {own_token}"}
        direct = f"http://127.0.0.1:{_port(by_user[bert])}"
        async with httpx.AsyncClient(base_url=hub.runtime.public_url) as stranger:
            for base in ("", direct):
                for path in ("api/contents", "api/kernels", "files/notebook.ipynb"):
                    url = f"{base}/user/{bert}/{path}"
                    assert (await stranger.get(url, headers=headers)).status_code in {
                        403,
                        404,
                    }
                    assert (await stranger.get(url)).status_code in {302, 403, 404}
        for path in (f"/hub/api/users/{bert}", f"/hub/api/users/{bert}/server"):
            answer = await annas._client.request(
                "DELETE" if path.endswith("server") else "GET", path
            )
            assert answer.status_code in {403, 404}
        answer = await annas._client.get(f"/user/{bert}/lab", follow_redirects=True)
        assert answer.status_code in {403, 404}

        await annas.stop_server()
        assert [p.environ()["JUPYTERHUB_USER"] for p in hub.servers()] == [bert]


async def test_a_person_without_an_account_is_told(start_hub):
    hub = start_hub(users={"allowed": ["nobody-knows-me"]})
    async with HubSession.login(hub.link("nobody-knows-me")) as session:
        with pytest.raises(
            ServerStartError, match="no user 'nobody-knows-me' on this system"
        ):
            await session.start_server()


def _log_in(hub, user: str, password: str) -> int:
    with httpx.Client(base_url=hub.runtime.public_url, timeout=20) as browser:
        browser.get("/hub/login")
        form = {
            "username": user,
            "password": password,
            "_xsrf": next(c.value for c in browser.cookies.jar if c.name == "_xsrf"),
        }
        browser.post("/hub/login", data=form)
        return browser.get("/hub/home").status_code


def test_passwords_of_the_system_log_in_who_is_allowed(start_hub, users):
    anna, bert = users
    passwords = {name: secrets.token_urlsafe(16) for name in users}
    subprocess.run(
        ["chpasswd"],
        input="".join(f"{name}:{word}\n" for name, word in passwords.items()),
        text=True,
        check=True,
    )
    hub = start_hub(hub={"authenticator": "pam"}, users={"allowed": [anna]})
    assert _log_in(hub, anna, passwords[anna]) == 200
    assert _log_in(hub, anna, passwords[bert]) == 302
    assert _log_in(hub, bert, passwords[bert]) == 302
    assert _log_in(hub, "../" + anna, passwords[anna]) == 302
    for log in hub.runtime.log_dir.iterdir():
        for password in passwords.values():
            assert password not in log.read_text()
