"""What the agent does outside the ledger. Each may be done twice, or be cut off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from offload.interlink import CreateStruct, PluginClient, RetrievedPodData
from offload.jobs import pods
from offload.jobs.agent.publishing import Publishing
from offload.jobs.agent.returning import Returning
from offload.jobs.agent.sites import Site, person
from offload.jobs.agent.transfers import Published, Transfers
from offload.jobs.credentials import read_credential
from offload.jobs.ledger import Ledger
from offload.jobs.model import Element, Job
from offload.jobs.placement import Chosen, Nowhere, choose
from offload.jobs.settings import Settings
from offload.jobs.stages import Stage
from offload.link import PausedError
from offload.snapshot import LocalStore, Snapshot
from offload.snapshot.images.image import read_image
from offload.snapshot.images.public import public_image

BATCH = 250
"""Elements in one request."""
PROGRESS_S = 0.5
"""Between two records of how far a transfer is."""


class Effects:
    """Store, place, transfer, create, delete, bring back."""

    def __init__(
        self, settings: Settings, ledger: Ledger, sites: Mapping[str, Site]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._sites = sites
        self._store = LocalStore(settings.snapshots)
        self._transfers = Transfers(self._store)
        self.publishing = Publishing(settings, ledger, self._store)
        self._returning = Returning(settings, ledger)
        self._pushing = asyncio.Lock()

    async def store(self, job: Job) -> None:
        """Put the snapshot into the facility's store, if that is another place.

        What is public of it is published behind the job's back.
        """
        public = await self._want_published(job)
        await self._push(job)
        await self._advance(job, Stage.FROZEN, Stage.STORED, public=public)
        # After the push: the registry has most of what is public by then.
        self.publishing.wake()

    async def _push(self, job: Job) -> None:
        if self._settings.store is not None:
            # Only where there is a registry: its client takes long to import.
            from offload.snapshot.registry import transfer
            from offload.snapshot.registry.client import Patience

            # Who waits for it reads why: we try again, not the client.
            there = transfer.Registry(
                self._settings.store, patience=Patience(attempts=1)
            )
            # One at a time: what two jobs share is not sent by both.
            async with self._pushing:
                await asyncio.to_thread(
                    transfer.push,
                    self._store,
                    job.image,
                    there,
                    progress=self._progress(job),
                )

    async def place(self, job: Job) -> Nowhere | None:
        """Choose a site; ``None`` if one was, else why none can be."""
        load = await asyncio.to_thread(self._ledger.load_of_sites)
        for site in self._sites.values():
            if job.spec.site in {None, site.name} and site.info is None:
                try:
                    await site.client()
                except PausedError:
                    continue  # it says so itself
        snapshot = await self._snapshot(job)
        candidates = [s.candidate(load.get(s.name, 0)) for s in self._sites.values()]
        match choose(job.spec, snapshot.base, candidates):
            case Chosen(site=name, reason=reason):
                await self._advance(
                    job, Stage.STORED, Stage.PLACED, site=name, site_reason=reason
                )
                return None
            case Nowhere() as nowhere:
                return nowhere

    async def transfer(self, job: Job, site: Site) -> None:
        """Send what the site lacks of the snapshot."""
        await site.client()
        if site.is_ours:
            image = await asyncio.to_thread(read_image, self._store, job.image)
            layers = self.publishing.layers(image)
            public = public_image(image, layers)
            published = Published(
                layers,
                is_expected=self._settings.repository is not None
                and site.repository == self._settings.repository
                and self.publishing.is_expected(image),
                image=public.digest if public else "",
            )
            wanted = tuple(dict.fromkeys(image.blobs))
            await self._transfers.ensure(site, wanted, self._progress(job), published)
        await self._advance(job, Stage.PLACED, Stage.TRANSFERRED)

    async def create(self, job: Job, site: Site, elements: Sequence[Element]) -> None:
        """Ask the site to run these; recorded before, so it is asked again if cut off.

        Raises:
            JobRefusedError: a credential cannot be read, or by others too: the job
                waits for it.
        """
        client = await site.client()
        snapshot = await self._snapshot(job)
        credentials = tuple(
            pods.Credential(name, read_credential(name, self._settings.credentials_dir))
            for name in job.spec.credentials
        )
        by_index = {e.index: e for e in elements}
        for start in range(0, len(elements), BATCH):
            some = [e.index for e in elements[start : start + BATCH]]
            may = await asyncio.to_thread(self._ledger.sending, job.id, some)
            wanted = [
                pods.build(
                    job,
                    by_index[index],
                    snapshot,
                    user=person(),
                    credentials=credentials,
                )
                for index in may
            ]
            if not wanted:
                continue
            answers = await _hand_over(client, wanted, at_once=site.is_ours)
            ids = {a.pod_uid: a.pod_jid for a in answers}
            await asyncio.to_thread(
                self._ledger.accepted,
                job.id,
                {i: ids.get(by_index[i].uid, "") for i in may},
            )

    async def delete(self, site: Site, elements: Sequence[Element]) -> None:
        """Have the site end and forget these; returns once it has confirmed."""
        client = await site.client()
        for element in elements:
            await client.delete(pods.naming_pod(element, person()))

    async def bring_back(self, job: Job, site: Site, element: Element) -> None:
        """Fetch logs and outputs of one element and put them in place."""
        client = await site.client()
        await self._returning.bring_back(
            job,
            element,
            client,
            is_ours=site.is_ours,
            on_progress=self._progress(job),
        )

    async def summarise(self, job: Job) -> None:
        """Write ``job.json`` into the job's folder."""
        await asyncio.to_thread(_summarise, job, self._settings.folder(job.id))

    async def close(self) -> None:
        """Stop what is on its way."""
        await self._transfers.close()

    async def _want_published(self, job: Job) -> str | None:
        if not self._settings.publishes:
            return None
        image = await asyncio.to_thread(read_image, self._store, job.image)
        return await asyncio.to_thread(self.publishing.want, image)

    async def _snapshot(self, job: Job) -> Snapshot:
        text = await asyncio.to_thread(self._ledger.snapshot, job.id)
        return Snapshot.from_json(text)

    async def _advance(
        self, job: Job, expected: Stage, stage: Stage, **values: str | None
    ) -> None:
        await asyncio.to_thread(self._ledger.advance, job.id, expected, stage, **values)

    def _progress(self, job: Job) -> Callable[[int, int], None]:
        """Return what records progress now and then; callable from any thread."""
        last = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_S:
                last = now
                self._ledger.progress([job.id], done, total)

        return progress


async def _hand_over(
    client: PluginClient, wanted: Sequence[RetrievedPodData], *, at_once: bool
) -> tuple[CreateStruct, ...]:
    if at_once and len(wanted) > 1:
        return await client.create_many(wanted)
    return tuple([await client.create(pod) for pod in wanted])


def _summarise(job: Job, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "id": str(job.id),
        "title": job.spec.title,
        "command": list(job.spec.command),
        "notebook": job.spec.notebook,
        "root": str(job.spec.root),
        "snapshot": job.image,
        "site": job.site,
        "outcome": job.outcome,
        "outcomes": {str(k): v for k, v in job.outcomes.items()},
        "message": job.message,
        "times": {str(stage): at for stage, at in job.times.items()},
        "warnings": list(job.warnings),
    }
    draft = folder / ".job.json"
    draft.write_text(json.dumps(document, indent=1) + "\n")
    draft.replace(folder / "job.json")
