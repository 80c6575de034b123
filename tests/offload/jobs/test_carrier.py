import asyncio
from itertools import pairwise
from types import SimpleNamespace

from offload.jobs.agent.carrier import Carrier
from offload.jobs.stages import Stage


class Effects:
    """A site to which a job is under way for as long as one wants."""

    def __init__(self, ledger) -> None:
        self.ledger = ledger
        self.done: list[str] = []
        self.is_under_way = asyncio.Event()
        self.arrives = asyncio.Event()
        self.deleted = asyncio.Event()

    async def create(self, job, _site, elements) -> None:
        self.ledger.sending(job.id, [e.index for e in elements])
        self.is_under_way.set()
        await self.arrives.wait()
        self.done.append("created")

    async def delete(self, _site, _elements) -> None:
        self.done.append("deleted")
        self.deleted.set()


async def test_what_is_under_way_to_a_site_is_withdrawn_when_it_has_arrived(
    ledger, add
) -> None:
    job = add()
    steps = [Stage.FROZEN, Stage.STORED, Stage.PLACED, Stage.TRANSFERRED]
    for before, after in pairwise(steps):
        site = {"site": "far"} if after is Stage.PLACED else {}
        ledger.advance(job, before, after, **site)
    effects = Effects(ledger)
    far = SimpleNamespace(connected=None)
    carrier = Carrier(ledger, {"far": far}, effects, lambda _: None)
    carrier.add(job)
    running = asyncio.create_task(carrier.run())
    await effects.is_under_way.wait()
    ledger.cancel(job)
    carrier.add(job)
    await asyncio.sleep(0.1)  # it looks at it, and may not withdraw it yet
    assert effects.done == []
    effects.arrives.set()
    await asyncio.wait_for(effects.deleted.wait(), 10)
    assert effects.done[:2] == ["created", "deleted"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await carrier.close()


async def test_an_agent_that_has_not_looked_yet_has_not_nothing_to_do(ledger) -> None:
    carrier = Carrier(ledger, {}, Effects(ledger), lambda _: None)
    assert not carrier.is_idle
    await carrier.look_at_all()
    assert carrier.is_idle
