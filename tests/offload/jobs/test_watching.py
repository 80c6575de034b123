import asyncio
import threading
import time
from types import SimpleNamespace

from offload.interlink import Changes
from offload.jobs.agent import watching
from offload.jobs.agent.watching import Watch
from offload.jobs.changes import Gone
from offload.jobs.model import JobId


class Site:
    """A site whose first words are none."""

    name = "far"
    is_ours = True

    def __init__(self) -> None:
        self.times = 0
        self.again = asyncio.Event()

    async def client(self) -> "Site":
        return self

    async def changes(self, since: int, *, timeout_s: float) -> Changes:
        self.times += 1
        if self.times == 1:
            raise RecursionError("nested without end")
        self.again.set()
        await asyncio.sleep(timeout_s)
        raise AssertionError


async def test_a_site_is_listened_to_again_whatever_it_has_said(
    monkeypatch, caplog
) -> None:
    monkeypatch.setattr(watching, "TICK_S", 0.01)
    site = Site()
    there = [SimpleNamespace(job=JobId(1), uid="u")]
    ledger = SimpleNamespace(at_site=lambda _: there, note=lambda *_: None)
    watch = Watch(site, ledger, lambda _: None)
    watch.wanted()
    task = asyncio.create_task(watch.run())
    await site.again.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "cannot be watched" in caplog.text


async def test_what_is_gone_is_told_though_it_was_accepted_after_the_question() -> None:
    told: list[dict[str, object]] = []
    heard = asyncio.Event()

    def observe(found: dict[str, object]) -> set[JobId]:
        told.append(found)
        loop.call_soon_threadsafe(heard.set)
        return set()

    async def changes(since: int, *, timeout_s: float) -> Changes:
        if since:
            await asyncio.sleep(timeout_s)
        return Changes(sequence=7, gone=("u", "later"))

    async def status(_pods: object) -> tuple[()]:
        return ()

    async def client() -> SimpleNamespace:
        return SimpleNamespace(changes=changes, status=status)

    loop = asyncio.get_running_loop()
    site = SimpleNamespace(name="far", is_ours=True, client=client)
    there = [SimpleNamespace(job=JobId(1), uid="u")]
    ledger = SimpleNamespace(
        at_site=lambda _: there, note=lambda *_: None, observe=observe
    )
    watch = Watch(site, ledger, lambda _: None)
    watch.wanted()
    task = asyncio.create_task(watch.run())
    await heard.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told[0] == {"u": Gone(), "later": Gone()}


async def test_what_comes_to_a_site_while_it_is_looked_for_is_listened_to() -> None:
    asked, heard = threading.Event(), asyncio.Event()
    there: list[SimpleNamespace] = []

    def at_site(_: str) -> list[SimpleNamespace]:
        found = list(there)
        if not asked.is_set():
            there.append(SimpleNamespace(job=JobId(1), uid="u"))
            loop.call_soon_threadsafe(watch.wanted)
            time.sleep(0.05)  # it is said before we have answered
            asked.set()
        return found

    async def client() -> None:
        heard.set()
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    site = SimpleNamespace(name="far", client=client)
    ledger = SimpleNamespace(at_site=at_site)
    watch = Watch(site, ledger, lambda _: None)
    watch.wanted()
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(heard.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
