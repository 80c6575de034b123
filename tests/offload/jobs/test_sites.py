import asyncio
from pathlib import Path
from types import SimpleNamespace

from offload.interlink import SystemInfo
from offload.jobs.agent import sites
from offload.jobs.agent.sites import Site


class Client:
    """A client whose end takes as long as one wants."""

    def __init__(self, _url: str) -> None:
        self.may_end = asyncio.Event()

    async def close(self) -> None:
        await self.may_end.wait()


class Link:
    """A way that is always there."""

    state = SimpleNamespace(until=None)

    async def open(self) -> Path:
        return Path("/site.sock")

    async def close(self) -> None:
        pass


async def test_what_was_said_of_an_earlier_connection_ends_no_later_one(
    monkeypatch, ledger
) -> None:
    async def ask(_: Client) -> tuple[SystemInfo, bool]:
        return SystemInfo(version=""), True

    monkeypatch.setattr(sites, "PluginClient", Client)
    monkeypatch.setattr(sites, "_ask", ask)
    site = Site("far", Link(), ledger, lambda _: None)
    first = await site.client()
    losing = asyncio.create_task(site.lost(first, OSError("gone")))
    await asyncio.sleep(0)
    second = await site.client()  # while the first is being closed
    assert second is not first
    first.may_end.set()
    await losing
    await site.lost(first, OSError("gone, said late"))
    assert site.connected is second
    assert site.paused is None
    second.may_end.set()
    await site.close(end_plugin=True)
