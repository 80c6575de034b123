"""What may go wrong on a person's way through a real hub, and who comes back."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from facility.client.hub_session import HubSession, ServerStartError
from facility.client.kernel import KernelError
from facility.client.notebook import CellError
from facility.errors import NotRunningError, UsageError

pytestmark = pytest.mark.engines


async def test_errors_and_deaths_in_a_kernel_are_one_line(hub, folder, notebook):
    async with HubSession.login(hub.link()) as session:
        server = await session.start_server()
        path = f"{folder}/run.ipynb"
        with pytest.raises(CellError, match=r"^cell 1: ZeroDivisionError: division"):
            await server.execute(notebook("1", "1 / 0", "2"), path=path)
        stored = json.loads(await server.read_file(path))
        assert stored["cells"][1]["outputs"][0]["ename"] == "ZeroDivisionError"
        with pytest.raises(KernelError, match="died while it executed"):
            await server.execute(
                notebook("import os; os.kill(os.getpid(), 9)"), path=path
            )
        with pytest.raises(KernelError, match=r"cell 0: not done after 2 s"):
            await server.execute(
                notebook("import time; time.sleep(60)"), path=path, timeout_s=2
            )
        executed = await server.execute(notebook("1 + 1"), path=path)
        (output,) = executed.document["cells"][0]["outputs"]
        assert output["data"]["text/plain"] == "2"


async def test_an_unknown_profile_is_refused_with_the_offer(start_hub):
    hub = start_hub(
        profiles=[
            {"name": "small"},
            {"name": "large", "server": {"cores": 2, "memory": "4 GiB"}},
        ]
    )
    async with HubSession.login(hub.link()) as session:
        with pytest.raises(UsageError, match=r"choose one of small, large$"):
            await session.start_server("huge")
        await session.start_server("large")
        (server,) = hub.servers()
        environment = server.environ()
        assert environment["FACILITY_PROFILE"] == "large"
        assert environment["CPU_LIMIT"] == "2.0"
        assert environment["MEM_LIMIT"] == str(4 * 2**30)


async def test_a_server_that_dies_at_once_is_told(start_hub, monkeypatch):
    # A PYTHONHOME without Python keeps the server, but not the hub, from starting.
    hub = start_hub()
    hub.kill("hub")
    monkeypatch.setenv("JUPYTERHUB_SINGLEUSER_APP", "no.such.module")
    hub.start("hub")
    hub.wait_ready()
    async with HubSession.login(hub.link()) as session:
        with pytest.raises(ServerStartError, match=r"ended at once: see .*\.log$"):
            await session.start_server()
    assert hub.servers() == []


async def test_nobody_at_home_is_told():
    with pytest.raises(NotRunningError, match="no hub answers at http://127"):
        async with HubSession.login("http://127.0.0.1:1/hub/login?token=x"):
            pass


async def test_a_hub_killed_and_started_finds_the_running_server(
    start_hub, folder, notebook, printed
):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        server = await session.start_server()
        (before,) = hub.servers()
        run = {"path": f"{folder}/run.ipynb"}
        await server.execute(notebook("open('kept', 'w').close()"), **run)
        hub.kill("hub")
        # Servers need no hub for who is known to them already.
        executed = await server.execute(
            notebook("import os; print(os.listdir())"), **run
        )
        assert "kept" in printed(executed, 0)
        hub.start("hub")
        hub.wait_ready()
        # The same cookies, the same token, the same process.
        assert (await session.start_server()).url == server.url
        assert hub.servers() == [before]
        await session.stop_server()
        assert hub.servers() == []


async def test_a_proxy_killed_and_started_has_its_routes_within_seconds(
    start_hub, folder, notebook
):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        server = await session.start_server()
        hub.kill("proxy")
        hub.start("proxy")
        begun = time.monotonic()
        hub.wait_ready()
        # Its own route comes in the same moment, not in the same instant.
        while (await server._client.get("/api/status")).status_code != 200:
            # The stock hub looks every five minutes.
            assert time.monotonic() - begun < 60
            await asyncio.sleep(0.1)
        await server.execute(notebook("1"), path=f"{folder}/run.ipynb")


async def test_a_notebook_outlives_the_proxy_between_it_and_who_reads_it(
    start_hub, folder, notebook, printed
):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        server = await session.start_server()
        work = Path.home() / folder

        async def there(name: str) -> None:
            end = time.monotonic() + 100
            while not (work / name).exists():
                assert time.monotonic() < end, f"the kernel has not come to {name}"
                await asyncio.sleep(0.05)

        async def change_proxy() -> None:
            await there("silent")
            # The kernel is silent now: what is inside the proxy would be lost.
            await asyncio.sleep(0.5)
            hub.kill("proxy")
            await asyncio.sleep(0.5)
            (work / "speak").touch()
            # The kernel speaks while nobody listens.
            await there("spoken")
            hub.start("proxy")

        count = (
            "import pathlib, time\n"
            "pathlib.Path('silent').touch()\n"
            "while not pathlib.Path('speak').exists(): time.sleep(0.05)\n"
            "for i in range(40):\n"
            "    print(i, flush=True); time.sleep(0.1)\n"
            "    if i == 15: pathlib.Path('spoken').touch()"
        )
        executed, _ = await asyncio.gather(
            server.execute(
                notebook("1", count, "print(i)"), path=f"{folder}/run.ipynb"
            ),
            change_proxy(),
        )
        assert printed(executed, 1).split() == [str(i) for i in range(40)]
        assert printed(executed, 2).strip() == "39"


async def test_a_server_started_by_a_hub_that_was_killed_meanwhile_is_ended(start_hub):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        start = await session._client.post(session._path("server"), json={})
        assert start.status_code == 202
        end = time.monotonic() + 100
        while not (servers := hub.servers()):
            assert time.monotonic() < end, hub.log("hub")
            await asyncio.sleep(0.02)
        (lost,) = servers
        lost.suspend()  # so that the hub does not see it listen, and writes it down
        hub.kill("hub")
        lost.resume()
        hub.start("hub")
        hub.wait_ready()
        lost.wait(timeout=100)
        await session.start_server()
        assert len(hub.servers()) == 1


async def test_who_waits_for_his_server_gets_it_from_the_next_hub(
    start_hub, folder, notebook
):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        killed = False

        def kill_once(progress) -> None:
            nonlocal killed
            if not killed:
                killed = True
                hub.kill("hub")
                hub.start("hub")

        server = await session.start_server(on_progress=kill_once)
        assert killed
        await server.execute(notebook("1"), path=f"{folder}/run.ipynb")
        end = time.monotonic() + 100
        while len(hub.servers()) != 1:
            assert time.monotonic() < end, "the first hub's server is still there"
            await asyncio.sleep(0.2)


async def test_a_server_killed_is_noticed_and_can_be_started_again(start_hub):
    hub = start_hub()
    async with HubSession.login(hub.link()) as session:
        await session.start_server()
        (server,) = hub.servers()
        os.kill(server.pid, signal.SIGKILL)
        end = time.monotonic() + 100
        while "with exit code" not in hub.log("hub"):
            assert time.monotonic() < end
            await asyncio.sleep(0.2)
        await session.start_server()
        assert len(hub.servers()) == 1


async def test_an_idle_server_is_stopped(start_hub):
    hub = start_hub(hub={"idle_timeout": "5 s"})
    async with HubSession.login(hub.link()) as session:
        await session.start_server()
    end = time.monotonic() + 100
    while hub.servers():
        assert time.monotonic() < end, hub.log("hub")
        await asyncio.sleep(0.5)
