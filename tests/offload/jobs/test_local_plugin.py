import asyncio
import sys

import pytest

from facility.process import identify
from facility.spec import Site
from offload.jobs.agent.local_plugin import LocalPlugin

SLOW = "import time; time.sleep(60)"
"""A plugin that does not listen yet."""


async def test_a_plugin_that_is_still_starting_ends_with_the_agent(tmp_path) -> None:
    plugin = LocalPlugin(
        Site(name="here"), tmp_path / "here", command=(sys.executable, "-c", SLOW)
    )
    opening = asyncio.create_task(plugin.open())
    while plugin._child is None:  # noqa: ASYNC110 - another task makes it true
        await asyncio.sleep(0.01)
    started = identify(plugin._child.pid)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await plugin.close()
    assert started is not None
    assert not started.is_alive()
