"""A person's way through a real hub: link, server, notebook, files.

Quick enough for every run of the tests, hence not marked ``engines``.
"""

import json

import pytest

from facility.client.hub_session import HubSession
from facility.client.notebook_server import NotebookServerError


async def test_link_server_notebook_files(hub, folder, notebook, printed):
    steps = []
    async with HubSession.login(hub.link()) as session:
        server = await session.start_server(on_progress=steps.append)
        assert steps[-1].percent == 100
        assert len(steps) > 1, "progress came all at once, or not at all"
        await server.make_directory(f"{folder}/a/b")
        await server.write_file(f"{folder}/input.txt", b"\x00\xff42")
        cells = []
        executed = await server.execute(
            notebook(
                "import os, json; print(os.getcwd())",
                "print(json.dumps(dict(os.environ)))",
                "data = open('input.txt', 'rb').read()\n"
                "open('output.bin', 'wb').write(data * 2); data",
            ),
            path=f"{folder}/run.ipynb",
            on_cell=cells.append,
        )
        assert [cell.index for cell in cells] == [0, 1, 2]
        assert printed(executed, 0).strip().endswith(folder)
        assert await server.read_file(f"{folder}/output.bin") == b"\x00\xff42" * 2
        stored = json.loads(await server.read_file(f"{folder}/run.ipynb"))
        assert [c["execution_count"] for c in stored["cells"]] == [1, 2, 3]
        environment = json.loads(printed(executed, 1))
        assert environment["FACILITY_ID"] == hub.runtime.id
        assert environment["FACILITY_PROFILE"] == "default"
        assert environment["MEM_LIMIT"] == str(2 * 2**30)
        assert environment["DASK_GATEWAY__ADDRESS"] == hub.runtime.gateway_url
        assert "FACILITY_RUNTIME" not in environment
        secrets = {
            p.read_text().strip()
            for p in hub.runtime.secrets_dir.iterdir()
            if p.is_file()
        }
        assert not secrets & set(environment.values())
        with pytest.raises(NotebookServerError, match=r"none\.txt.*404"):
            await server.read_file(f"{folder}/none.txt")
        await session.stop_server()
        await session.stop_server()
    assert hub.servers() == []
