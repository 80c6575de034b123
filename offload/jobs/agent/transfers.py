"""Snapshots to sites: each blob once, however many jobs wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from offload.interlink import (
    Blob,
    ImpossibleError,
    PluginClient,
    PluginUnreachableError,
    WrongOffsetError,
)
from offload.interlink.extensions import MissingBlob
from offload.jobs.agent.patience import patience_s
from offload.jobs.agent.sites import Site
from offload.snapshot import Blob as StoredBlob
from offload.snapshot import LocalStore

CHUNK = 1 << 20
AT_ONCE = 4
"""Blobs that are sent to one site at a time."""
LOOK_S = 0.5
"""Between two reports of how far it is."""
ASK_S = 0.3
"""Between two questions whether something has come by itself."""
TELLING = 4 << 20
"""Bytes from which on a transfer says how fast the way is."""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What a site may get from a repository of published environments."""

    layers: frozenset[str]
    """Digests of blobs."""
    is_expected: bool = False
    """Whether what is not there yet may be soon."""
    image: str = ""
    """Digest of the image of these layers."""


class Transfers:
    """Sends blobs of the person's store; what arrived is never sent again."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._in_flight: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._sent: dict[tuple[str, str], int] = {}
        self._room: dict[str, asyncio.Semaphore] = {}
        self._pace: dict[str, float] = {}
        """Bytes per second, by site."""

    async def ensure(
        self,
        site: Site,
        blobs: Sequence[StoredBlob],
        on_progress: OnProgress,
        published: Published | None = None,
    ) -> None:
        """Return once the site has all of them.

        Resumes where an earlier transfer was cut off, be it of another process. What the
        site may get from a repository is sent if it has not come by itself in the time
        that sending takes.

        Raises:
            InterlinkError, PausedError: it was cut off again.
            MissingError: the store has not got one of them.
        """
        wanted = [b for b in blobs if b.digest not in site.known]
        if not wanted:
            return
        client = await site.client()
        layers = published.layers if published else frozenset()
        asked = [
            Blob(digest=b.digest, size=b.size, is_public=b.digest in layers)
            for b in wanted
        ]
        image = published.image if published else ""
        missing = await self._ask(site, client, asked, image)
        public = [b for b in asked if b.is_public and b.digest in missing]
        later = self._worth_waiting(site, public, missing, published)
        others = [blob for blob in asked if blob not in later]
        tasks = self._send_all(site, client, others, missing)
        if later:
            missing = await self._wait(site, client, later, missing, image)
            tasks += self._send_all(site, client, later, missing)
        await self._all(site, asked, tasks, on_progress)

    async def _ask(
        self, site: Site, client: PluginClient, blobs: Sequence[Blob], image: str
    ) -> Mapping[str, MissingBlob]:
        missing = {m.digest: m for m in await client.missing_blobs(blobs, image)}
        site.known.update(b.digest for b in blobs if b.digest not in missing)
        return missing

    def _worth_waiting(
        self,
        site: Site,
        public: Sequence[Blob],
        missing: Mapping[str, MissingBlob],
        published: Published | None,
    ) -> list[Blob]:
        coming = [blob for blob in public if missing[blob.digest].is_coming]
        if published is None or not published.is_expected:
            return coming
        return [*public] if self._patience_s(site, public, missing) else coming

    async def _wait(
        self,
        site: Site,
        client: PluginClient,
        blobs: Sequence[Blob],
        missing: Mapping[str, MissingBlob],
        image: str,
    ) -> Mapping[str, MissingBlob]:
        """Wait for what may come by itself; return what has not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s(site, blobs, missing)
        left = list(blobs)
        while left and (left_s := until - loop.time()) > 0:
            await asyncio.sleep(min(ASK_S, left_s))
            missing = await self._ask(site, client, left, image)
            left = [blob for blob in left if blob.digest in missing]
        return missing

    def _patience_s(
        self, site: Site, blobs: Sequence[Blob], missing: Mapping[str, MissingBlob]
    ) -> float:
        return patience_s(
            sum(blob.size for blob in blobs),
            self._pace.get(site.name),
            is_coming=any(missing[blob.digest].is_coming for blob in blobs),
        )

    def _send_all(
        self,
        site: Site,
        client: PluginClient,
        blobs: Iterable[Blob],
        missing: Mapping[str, MissingBlob],
    ) -> list[asyncio.Task[None]]:
        # The largest first: they are unpacked there while the others are on their way.
        return [
            self._send_once(site, client, blob, missing[blob.digest].offset)
            for blob in sorted(blobs, key=lambda blob: -blob.size)
            # Another job's transfer may have brought it while we asked.
            if blob.digest in missing and blob.digest not in site.known
        ]

    async def _all(
        self,
        site: Site,
        blobs: Sequence[Blob],
        tasks: Sequence[asyncio.Task[None]],
        on_progress: OnProgress,
    ) -> None:
        total = sum(blob.size for blob in blobs)
        pending = set(tasks)
        here = self._progress(site, blobs)
        began = time.monotonic()
        while pending:
            on_progress(self._progress(site, blobs), total)
            # One job's end must not cut off what others wait for: nothing is cancelled.
            finished, pending = await asyncio.wait(
                pending, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in finished:
                task.result()
        sent = self._progress(site, blobs) - here
        if tasks and sent >= TELLING:
            self._pace[site.name] = sent / max(time.monotonic() - began, 1e-3)

    def _progress(self, site: Site, blobs: Sequence[Blob]) -> int:
        return sum(
            blob.size
            if blob.digest in site.known
            else self._sent.get((site.name, blob.digest), 0)
            for blob in blobs
        )

    def _send_once(
        self, site: Site, client: PluginClient, blob: Blob, offset: int
    ) -> asyncio.Task[None]:
        key = (site.name, blob.digest)
        task = self._in_flight.get(key)
        if task is None:
            task = asyncio.create_task(self._send(site, client, blob, offset))
            self._in_flight[key] = task
            task.add_done_callback(lambda done: self._over(key, done))
        return task

    def _over(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        del self._in_flight[key]
        self._sent.pop(key, None)
        if not task.cancelled():
            task.exception()  # who waited has it; without anybody it is no news

    async def _send(
        self, site: Site, client: PluginClient, blob: Blob, offset: int
    ) -> None:
        room = self._room.setdefault(site.name, asyncio.Semaphore(AT_ONCE))
        async with room:
            # A plugin that dropped damaged bytes gets them once more, from the start.
            for is_last in (False, False, True):
                try:
                    chunks = self._chunks(site.name, blob.digest, offset)
                    await client.send_blob(blob, chunks, offset=offset)
                except WrongOffsetError as error:
                    if is_last:
                        raise
                    offset = error.offset
                except ImpossibleError:
                    if is_last:
                        raise
                    offset = 0
                except PluginUnreachableError as error:
                    await site.lost(client, error)
                    raise
                else:
                    site.known.add(blob.digest)
                    return

    async def _chunks(
        self, site: str, digest: str, offset: int
    ) -> AsyncIterator[bytes]:
        with self._store.open(digest) as file:
            file.seek(offset)
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                offset += len(chunk)
                self._sent[site, digest] = offset
                yield chunk

    async def close(self) -> None:
        """Stop what is on its way."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
