"""What runs at a site: one long question for all jobs there, answered by changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from offload.interlink import (
    InterlinkError,
    PluginClient,
    PluginUnreachableError,
    PodStatus,
    UnsupportedError,
)
from offload.jobs.agent.sites import Site, person
from offload.jobs.changes import Gone, Observed
from offload.jobs.ledger import Ledger
from offload.jobs.model import Element, JobId
from offload.jobs.observation import observed
from offload.jobs.pods import naming_pod
from offload.link import PausedError

LONG_POLL_S = 30.0
TICK_S = 1.0
"""Between two questions to a plugin that cannot say what changed."""
MISSED_TICKS = 3
"""So often in a row such a plugin must not know a pod for it to be lost: some answer
only a part of what they are asked."""

log = logging.getLogger("facility.agent")


class Watch:
    """Keeps the ledger up to date with one site, as long as something is there.

    Args:
        site: Which.
        ledger: What is updated.
        on_change: Called with each job that changed.
    """

    def __init__(
        self, site: Site, ledger: Ledger, on_change: Callable[[JobId], None]
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._told = 0
        """How often it was said that something is at the site."""
        self._sequence = 0
        self._missed: dict[str, int] = {}
        self._noted = ""

    def wanted(self) -> None:
        """Say that something is at the site."""
        self._told += 1
        self._wanted.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._wanted.wait()
            client: PluginClient | None = None
            told = self._told
            try:
                there = await asyncio.to_thread(self._ledger.at_site, self._site.name)
                if not there:
                    if told == self._told:  # nobody has said so while we asked
                        self._wanted.clear()
                    continue
                try:
                    client = await self._site.client()
                except PausedError as error:
                    self._sequence = 0
                    await self._note(there, error)
                    await asyncio.sleep(TICK_S / 4)
                    continue
                await self._note(there, None)
                await self._look(client, there)
            except PluginUnreachableError as error:
                self._sequence = 0
                await self._site.lost(client, error)
            except InterlinkError as error:
                log.warning("site %s: %s", self._site.name, error)
                self._sequence = 0
                await asyncio.sleep(TICK_S)
            except Exception:  # whatever a site says: it is listened to again
                log.exception("site %s cannot be watched", self._site.name)
                self._sequence = 0
                await asyncio.sleep(TICK_S)

    async def _note(self, there: Sequence[Element], error: PausedError | None) -> None:
        """Record with each job there that nothing is heard of it, and why."""
        words, until = "", None
        if error is not None:
            words = f"site {self._site.name}: {error.paused.reason}"
            if error.paused.until is not None:
                until = error.paused.until.timestamp()
        if words == self._noted:
            return
        self._noted = words
        for job in {element.job for element in there}:
            await asyncio.to_thread(self._ledger.note, job, words, until)

    async def _look(self, client: PluginClient, there: Sequence[Element]) -> None:
        if not self._site.is_ours:
            await self._look_at_each(client, there)
            return
        is_first = self._sequence == 0
        try:
            changes = await client.changes(self._sequence, timeout_s=LONG_POLL_S)
        except UnsupportedError:
            self._site.is_ours = False
            return
        # A plugin that lost its count begins anew: so do we.
        self._sequence = changes.sequence if changes.sequence >= self._sequence else 0
        await self._record(
            {s.uid: observed(s) for s in changes.pods}
            | dict.fromkeys(changes.gone, Gone())
        )
        if is_first:
            known = {status.uid for status in changes.pods}
            absent = [e for e in there if e.uid not in known]
            if absent:
                statuses = await self._ask(client, absent)
                asked = {status.uid for status in statuses}
                await self._record(
                    {s.uid: observed(s) for s in statuses}
                    | {e.uid: Gone() for e in absent if e.uid not in asked}
                )

    async def _look_at_each(
        self, client: PluginClient, there: Sequence[Element]
    ) -> None:
        statuses = list(await self._ask(client, there))
        known = {status.uid for status in statuses}
        for element in there:
            if element.uid not in known:
                statuses += await self._ask(client, [element])
        known = {status.uid for status in statuses}
        found: dict[str, Observed | Gone] = {s.uid: observed(s) for s in statuses}
        for element in there:
            if element.uid in known:
                self._missed.pop(element.uid, None)
                continue
            times = self._missed.get(element.uid, 0) + 1
            self._missed[element.uid] = times
            if times >= MISSED_TICKS or element.is_cancelled:
                del self._missed[element.uid]
                found[element.uid] = Gone()
        await self._record(found)
        await asyncio.sleep(TICK_S)

    async def _ask(
        self, client: PluginClient, elements: Iterable[Element]
    ) -> tuple[PodStatus, ...]:
        return await client.status(naming_pod(e, person()) for e in elements)

    async def _record(self, found: Mapping[str, Observed | Gone]) -> None:
        if not found:
            return
        for job in await asyncio.to_thread(self._ledger.observe, found):
            self._on_change(job)
