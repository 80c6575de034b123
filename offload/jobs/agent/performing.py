"""Does what is decided for a job, one action at a time, and records it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import assert_never

from offload.jobs import decisions
from offload.jobs.agent.effects import Effects
from offload.jobs.agent.sites import Site
from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.stages import BEFORE_SITE, Outcome


class WaitingError(Exception):
    """Nothing is wrong, but nothing can be done yet; the text is for the person."""


class Performer:
    """Performs actions; each may be done twice, or be cut off.

    Args:
        ledger: What was done is recorded there.
        sites: By name.
        effects: What can be done.
    """

    def __init__(
        self, ledger: Ledger, sites: Mapping[str, Site], effects: Effects
    ) -> None:
        self._ledger = ledger
        self._sites = sites
        self._effects = effects

    async def perform(self, view: decisions.View, action: decisions.Action) -> None:
        """Do it; whatever goes wrong is raised.

        Raises:
            WaitingError: nothing can be done for the job now.
        """
        effects, job = self._effects, view.job
        match action:
            case decisions.Store():
                await effects.store(job)
            case decisions.Place():
                await self._place(view)
            case decisions.Transfer(site):
                await effects.transfer(job, self._sites[site])
            case decisions.Create(site, indexes):
                await effects.create(job, self._sites[site], view.those(indexes))
            case decisions.Return(site, index):
                (element,) = view.those([index])
                await effects.bring_back(job, self._sites[site], element)
            case decisions.End() | decisions.Withdraw() | decisions.Remove():
                await self._delete(view, action)
            case decisions.Finish(indexes, outcome, message):
                await self.finish(job.id, indexes, outcome, message)
            case decisions.Close():
                await effects.summarise(job)
                await asyncio.to_thread(self._ledger.close_job, job.id)
            case decisions.Await(words):
                raise WaitingError(words)
            case _:
                assert_never(action)

    async def _place(self, view: decisions.View) -> None:
        refusal = await self._effects.place(view.job)
        if refusal is None:
            return
        if not refusal.is_final:
            raise WaitingError(refusal.reason)
        await self.finish(
            view.job.id, view.indexes, Outcome.REFUSED, f"no site: {refusal.reason}"
        )

    async def _delete(
        self,
        view: decisions.View,
        action: decisions.End | decisions.Withdraw | decisions.Remove,
    ) -> None:
        site, job, indexes = self._sites[action.site], view.job.id, action.indexes
        await self._effects.delete(site, view.those(indexes))
        if isinstance(action, decisions.Withdraw):
            why = "cancelled before it ran"
            await self.finish(job, indexes, Outcome.CANCELLED, why)
        elif isinstance(action, decisions.Remove):
            await asyncio.to_thread(self._ledger.removed, job, indexes)

    async def finish(
        self, job: JobId, indexes: tuple[int, ...], outcome: Outcome, message: str
    ) -> None:
        """Record that these elements ended without a site's word."""
        await asyncio.to_thread(
            self._ledger.finish,
            job,
            indexes,
            BEFORE_SITE,
            outcome=outcome,
            message=message,
        )
