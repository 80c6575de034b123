"""Hands the public parts of environments over to be published, behind the jobs' backs.

Recorded in the ledger before anything is sent; what arrived once is not sent again. No
job waits for it, and none fails because of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from facility.errors import FacilityError
from offload.jobs.agent.backoff import Backoff
from offload.jobs.agent.leases import Leases
from offload.jobs.agent.proving import Proving
from offload.jobs.agent.sites import person
from offload.jobs.credentials import read_credential
from offload.jobs.ledger import Ledger
from offload.jobs.publications import RENEWED_S, Publication
from offload.jobs.settings import Settings
from offload.snapshot import DamagedError, LocalStore, MissingError
from offload.snapshot.images.image import Image, read_image
from offload.snapshot.images.public import public_image, write_public_image

if TYPE_CHECKING:
    from offload.cache.publishing.client import PublisherClient

LOOK_S = 60.0
"""What failed is looked at again after so long at the latest."""

log = logging.getLogger("facility.agent")


def _with_sleep() -> float:
    """Return seconds that count on while the machine sleeps: so leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Publishing:
    """Hands over one image after the other.

    Args:
        settings: where to.
        ledger: what is wanted, and what was done.
        store: the person's own.
    """

    def __init__(self, settings: Settings, ledger: Ledger, store: LocalStore) -> None:
        self._settings = settings
        self._ledger = ledger
        self._publications = ledger.publications
        self._store = store
        self._proving = Proving(
            settings.public_indexes, store, settings.home / "proven.json", time.time
        )
        self._backoff = Backoff(time.monotonic)
        self._leases = (
            None
            if settings.publisher is None
            else Leases(settings, ledger, self._lease, _with_sleep)
        )
        self._woken = asyncio.Event()
        self._hopeless: set[str] = set()
        """Images that will not be published soon."""
        self._wanted: dict[str, float] = {}
        """Images that the ledger knows of, and since when."""

    def want(self, image: Image) -> str | None:
        """Have the public part of a snapshot's image published; returns at once durable.

        Blocks for as long as the ledger takes the first time, and not at all later.

        Returns:
            the digest of that part's image; None if nothing is public.
        """
        public = public_image(image)
        if public is None or not self._settings.publishes:
            return None
        now = time.monotonic()
        if now - self._wanted.get(public.digest, -RENEWED_S) >= RENEWED_S:
            self._publications.want(public.digest, image.snapshot.image)
            self._wanted[public.digest] = now
        return public.digest

    def layers(self, image: Image) -> frozenset[str]:
        """Return the layers of a snapshot's image that a repository may have."""
        return frozenset(
            each.digest
            for each in image.layers
            if each.is_public and not self._proving.is_disproven(each.digest)
        )

    def wake(self) -> None:
        """Have what is wanted handed over; from the event loop."""
        self._woken.set()

    def is_expected(self, image: Image) -> bool:
        """Whether the public part of a snapshot's image may be visible soon."""
        public = public_image(image)
        return (
            self._settings.publishes
            and public is not None
            and public.digest not in self._hopeless
        )

    async def run(self) -> None:
        """Hand over until cancelled."""
        if not self._settings.publishes:
            return
        while True:
            self._woken.clear()
            wait_s = LOOK_S
            try:
                if self._leases is not None:
                    # Before anything is handed over: from then on it is kept.
                    await asyncio.to_thread(self._leases.renew)
                for each in await asyncio.to_thread(self._publications.open):
                    left_s = self._backoff.left_s(each.image)
                    wait_s = min(wait_s, left_s or await self._try(each))
            except Exception:  # a full disk, for one
                log.exception("environments cannot be handed over")
            try:
                await asyncio.wait_for(self._woken.wait(), max(0.1, wait_s))
            except TimeoutError:
                continue

    async def _try(self, wanted: Publication) -> float:
        """Hand one over; return the seconds until something is to be done again."""
        image = wanted.image
        try:
            refusal = await asyncio.to_thread(self._hand_over, wanted)
        except (MissingError, DamagedError) as error:
            # Collected: no job needs it any more. The next one that does wants it again.
            log.info("image %s is not published: %s", image[:19], error)
            self._wanted.pop(image, None)
            await asyncio.to_thread(self._publications.forget, image)
            return LOOK_S
        except Exception as error:  # whatever it is, others have their turn
            if not isinstance(error, FacilityError | OSError):
                log.exception("image %s cannot be handed over", image[:19])
            self._hopeless.add(image)
            delay_s = self._backoff.failed(image, 1.0)
            if str(error) != wanted.detail:
                log.info("image %s is not published yet: %s", image[:19], error)
                await asyncio.to_thread(self._publications.waits, image, str(error))
            return delay_s
        self._backoff.worked(image)
        if refusal is None:
            self._hopeless.discard(image)
            await asyncio.to_thread(self._publications.handed_over, image)
            return LOOK_S
        self._hopeless.add(image)
        log.info("image %s is not published: %s", image[:19], refusal)
        await asyncio.to_thread(self._publications.refused, image, refusal)
        return LOOK_S

    def remove_old_tags(self, now: float) -> int:
        """Remove what was pushed to the registry and nobody needs any more.

        What no job of this ledger has needed for as long as snapshots are kept, and no
        lease or pin at the publisher is for. Where there is no publisher nobody knows of
        others, and all stays.

        Returns:
            how many are gone; the others are tried again.

        Raises:
            FacilityError: registry or publisher are away, or say no.
        """
        url, since = self._settings.public_store, now - self._settings.retention_s
        # Who shows no token is not told what others keep.
        if url is None or self._settings.publisher is None or self._token() is None:
            return 0
        needed = self._ledger.public_images(over_since=since)
        old = [
            each
            for each in self._publications.all()
            if each.is_handed_over
            and each.wanted_at < since
            and each.there not in needed
        ]
        if not old:
            return 0
        # Only where there is a registry: its client takes long to import.
        from offload.snapshot.registry.client import Patience
        from offload.snapshot.registry.removal import remove_public
        from offload.snapshot.registry.transfer import Registry

        registry = Registry(url, patience=Patience(attempts=1))
        gone = 0
        with self._client() as client:
            for each in old:
                status = client.status(each.there)
                is_kept = status.pins or status.leases
                if not is_kept and remove_public(each.there, registry):
                    self._wanted.pop(each.image, None)
                    self._publications.forget(each.image)
                    gone += 1
        return gone

    def _hand_over(self, wanted: Publication) -> str | None:
        """Hand one over, and say why it is refused for good if it is."""
        image = read_image(self._store, wanted.source)
        claimed = public_image(image)
        if claimed is None or claimed.digest != wanted.image:
            # Another version of this program decides otherwise what is public.
            return f"the public part of {wanted.source[:19]} is another by now"
        proven = self._proving.proven(layer.digest for layer in claimed.layers)
        public = public_image(image, proven)
        if public is None:
            return "no public index gives out what is in it"
        others = None if public.digest == wanted.image else public.digest
        if others != wanted.published:
            self._publications.is_published_as(wanted.image, others)
            if self._leases is not None:
                self._leases.renew()
        if self._settings.public_store is not None:
            self._push(self._settings.public_store, wanted.source, proven)
            return None
        return self._publish(wanted.source, proven)

    def _push(self, url: str, source: str, proven: Collection[str]) -> None:
        # Only where there is a registry: its client takes long to import.
        from offload.snapshot.registry.client import Patience
        from offload.snapshot.registry.transfer import Registry, push_public

        registry = Registry(url, patience=Patience(attempts=1))
        push_public(self._store, source, registry, proven)

    def _publish(self, source: str, proven: Collection[str]) -> str | None:
        from offload.cache.publishing.errors import RefusedImageError

        with self._store.in_use(), self._client() as client:
            public = write_public_image(self._store, source, proven)
            assert public is not None
            try:
                status = client.publish(public.digest, public.blobs, self._store)
            except RefusedImageError as error:
                return str(error)
        return status.detail if status.state == "refused" else None

    def _lease(self, uid: str, images: Collection[str], for_s: float) -> None:
        with self._client() as client:
            client.lease(uid, images, for_s)

    def _client(self) -> PublisherClient:
        # Only where there is a publisher: it takes long to import.
        from offload.cache.publishing.client import PublisherClient

        url = self._settings.publisher
        assert url is not None
        return PublisherClient(url, self._token())

    def _token(self) -> str | None:
        path = self._settings.publisher_token
        if path is None:
            return None
        folder, name = path.expanduser().parent, path.name
        if self._settings.multi_user:  # a folder with everybody's own
            folder, name = path.expanduser(), person()
        return read_credential(name, folder).decode(errors="replace").strip()
