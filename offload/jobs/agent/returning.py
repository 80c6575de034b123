"""What comes back: logs and outputs, into the job's own folder and from there merged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from offload.interlink import (
    LogStruct,
    PluginClient,
    PluginRefusedError,
    UnknownPodError,
    UnsupportedError,
)
from offload.jobs.agent.sites import person
from offload.jobs.ledger import Ledger
from offload.jobs.model import Element, Job
from offload.jobs.pods import MAIN, pod_name
from offload.jobs.settings import Settings
from offload.jobs.stages import Stage
from offload.outputs import Prior, fetch, land, merge
from offload.outputs.landing import RECORD

AT_ONCE = 4
"""Elements that are brought back at a time."""
PACK = ".outputs.tar.zst"


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
            InterlinkError, OutputsError, OSError: tried again later, from there on.
        """
        folder = element_folder(self._settings, element)
        async with self._room:
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            await _keep_log(client, element, folder / "logs", is_ours=is_ours)
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
        pack = folder / PACK
        digest = None
        if not (folder / RECORD).exists():
            try:
                digest = await _fetch(client, element.uid, pack, on_progress)
            except UnknownPodError:
                return ["the site has no outputs of it"]
        landed = await asyncio.to_thread(land, pack, folder)
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
        if digest is not None:
            with contextlib.suppress(UnknownPodError):
                await client.acknowledge_outputs(element.uid, digest)
        await asyncio.to_thread(pack.unlink, missing_ok=True)
        return report.lines()


async def _fetch(
    client: PluginClient,
    uid: str,
    pack: Path,
    on_progress: Callable[[int, int], None],
) -> str:
    """Bring the pack; return its digest."""
    async with client.outputs(uid) as first:
        if first.digest is None or first.total is None:
            raise UnsupportedError("GET outputs", 200, {}, "no ETag or no length")

        async def download(offset: int) -> AsyncIterator[bytes]:
            if offset == first.offset:
                async for chunk in first.chunks:
                    yield chunk
                return
            async with client.outputs(uid, offset=offset) as rest:
                async for chunk in rest.chunks:
                    yield chunk

        size = first.total
        await fetch(
            download,
            pack,
            digest=first.digest,
            size=size,
            progress=lambda here: on_progress(here, size),
        )
        return first.digest


async def _keep_log(
    client: PluginClient, element: Element, folder: Path, *, is_ours: bool
) -> None:
    """Keep the whole log; one that the site has not is left out."""
    target = folder / f"{MAIN}.log"
    if target.exists():
        return  # whole: it is only renamed then
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    try:
        with draft.open("wb") as file:
            async for chunk in read_log(client, element, 0, is_ours=is_ours):
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
    except PluginRefusedError:
        draft.unlink(missing_ok=True)
        return
    except OSError:  # a log without end must not keep the disk full
        draft.unlink(missing_ok=True)
        raise
    draft.replace(target)


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


def element_folder(settings: Settings, element: Element) -> Path:
    """Return where an element's outputs and logs land."""
    folder = settings.folder(element.job)
    return folder / str(element.index) if element.is_one_of_many else folder
