"""What comes back: logs and outputs, into the job's own folder and from there merged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from facility.spec.units import format_bytes
from offload.interlink import (
    Download,
    LogStruct,
    PluginClient,
    PluginRefusedError,
    UnknownPodError,
    UnsupportedError,
)
from offload.jobs.agent.sites import person
from offload.jobs.ledger import Ledger
from offload.jobs.model import MAIN, Element, Job
from offload.jobs.pods import pod_name
from offload.jobs.settings import Settings
from offload.jobs.stages import Stage
from offload.outputs import Prior, fetch, land, merge
from offload.outputs.errors import TooLargeError
from offload.outputs.landing import RECORD

AT_ONCE = 4
"""Elements that are brought back at a time."""
PACK = ".outputs.tar.zst"
KEPT = "outputs.tar.zst"
"""Outputs that are too large to be unpacked."""


class Returning:
    """Brings elements home; each step ends the same when it is done again."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._room = asyncio.Semaphore(AT_ONCE)
        # Equal jobs bring files of equal names: one after the other sees the other's.
        self._merging = asyncio.Lock()

    async def bring_back(
        self,
        job: Job,
        element: Element,
        client: PluginClient,
        *,
        is_ours: bool,
        on_progress: Callable[[int, int], None],
    ) -> None:
        """Put logs and outputs in place, and then record that the element is done.

        Raises:
            NotReadyError: the site has not packed the outputs yet.
            TooLargeError: more would come than may; it stays at the site.
            InterlinkError, OutputsError, OSError: tried again later, from there on.
        """
        folder = self._settings.element_folder(element.name)
        async with self._room:
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            await self._keep_log(client, element, is_ours=is_ours)
            report: list[str] = []
            if is_ours:
                report = await self._outputs(job, element, client, folder, on_progress)
            await asyncio.to_thread(
                self._ledger.finish,
                job.id,
                [element.index],
                [Stage.RETURNING],
                report=report,
            )

    async def _outputs(
        self,
        job: Job,
        element: Element,
        client: PluginClient,
        folder: Path,
        on_progress: Callable[[int, int], None],
    ) -> list[str]:
        pack, kept = folder / PACK, folder / KEPT
        most = self._settings.most_returned_bytes
        digest = None
        if not ((folder / RECORD).exists() or kept.exists()):
            try:
                digest = await self._fetch(client, element.uid, pack, on_progress)
            except UnknownPodError:
                return ["the site has no outputs of it"]
        landed = None
        if not kept.exists():  # or it was too large, before this was cut off
            try:
                landed = await asyncio.to_thread(land, pack, folder, most_bytes=most)
            except TooLargeError:
                pack.replace(kept)
        if landed is None:
            await _acknowledge(client, element.uid, digest)
            line = (
                f"job {element.name}: its outputs are more than {format_bytes(most)} "
                f"(offload.returned of facility.yaml): all of them are in {kept}, "
                "packed, and nothing is merged"
            )
            return [line]
        text = await asyncio.to_thread(self._ledger.prior, job.id)
        async with self._merging:
            report = await asyncio.to_thread(
                merge,
                landed,
                job.spec.root,
                str(element.name),
                globs=job.spec.declared,
                elsewhere=(Path.home(),),
                prior=Prior.from_json(json.loads(text)),
            )
        await _acknowledge(client, element.uid, digest)
        await asyncio.to_thread(pack.unlink, missing_ok=True)
        return report.lines()

    async def _fetch(
        self,
        client: PluginClient,
        uid: str,
        pack: Path,
        on_progress: Callable[[int, int], None],
    ) -> str:
        """Bring the pack; return its digest."""
        async with client.outputs(uid) as first:
            self._check("outputs are", first.total or 0)
            return await _download(client, uid, pack, first, on_progress)

    def _check(self, what: str, size: int) -> None:
        """Raise if more would come home than may; the job waits and says so."""
        most = self._settings.most_returned_bytes
        if size > most:
            raise TooLargeError(
                f"its {what} more than the {format_bytes(most)} that may come back: "
                "they wait at the site; raise offload.returned in facility.yaml"
            )

    async def _keep_log(
        self, client: PluginClient, element: Element, *, is_ours: bool
    ) -> None:
        """Keep the whole log; one that the site has not is left out."""
        target = self._settings.log(element.name)
        if target.exists():
            return  # whole: it is only renamed then
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        draft = target.with_suffix(".part")
        try:
            if is_ours:
                async with client.log_file(element.uid, MAIN) as whole:
                    self._check("log is", whole.total or 0)
            with draft.open("wb") as file:
                async for chunk in read_log(client, element, 0, is_ours=is_ours):
                    self._check("log is", file.tell() + len(chunk))
                    await asyncio.to_thread(file.write, chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        except PluginRefusedError:
            draft.unlink(missing_ok=True)
            return
        except (OSError, TooLargeError):
            # A log without end must not keep the disk full.
            draft.unlink(missing_ok=True)
            raise
        draft.replace(target)


async def _acknowledge(client: PluginClient, uid: str, digest: str | None) -> None:
    if digest is not None:
        with contextlib.suppress(UnknownPodError):
            await client.acknowledge_outputs(uid, digest)


async def _download(
    client: PluginClient,
    uid: str,
    pack: Path,
    first: Download,
    on_progress: Callable[[int, int], None],
) -> str:
    digest, size = first.digest, first.total
    if digest is None or size is None:
        raise UnsupportedError("GET outputs", 200, {}, "no ETag or no length")

    async def download(offset: int) -> AsyncIterator[bytes]:
        if offset == first.offset:
            async for chunk in first.chunks:
                yield chunk
            return
        async with client.outputs(uid, offset=offset) as rest:
            async for chunk in rest.chunks:
                yield chunk

    await fetch(
        download,
        pack,
        digest=digest,
        size=size,
        progress=lambda here: on_progress(here, size),
    )
    return digest


async def read_log(
    client: PluginClient, element: Element, offset: int, *, is_ours: bool
) -> AsyncIterator[bytes]:
    """Yield what the site has now of the log of an element's command.

    Raises:
        InterlinkError: it cannot be asked, or has none.
    """
    if is_ours:
        async with client.log_file(element.uid, MAIN, offset=offset) as download:
            async for chunk in download.chunks:
                yield chunk
        return
    wanted = LogStruct(
        namespace=person(),
        pod_uid=element.uid,
        pod_name=pod_name(element),
        container_name=MAIN,
    )
    async with client.follow_logs(wanted) as chunks:
        async for chunk in chunks:
            skipped = min(offset, len(chunk))
            offset -= skipped
            if skipped < len(chunk):
                yield chunk[skipped:]
