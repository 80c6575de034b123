"""Does what a name in the queue asks for: looks what it means, and makes it visible.

Every step may be done again: layers that are published are neither fetched nor read, a
tree that is there is not made, and a revision appears only if something changes. Who is
killed in between finds the name still in the queue, and the blobs that had come.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from facility.errors import FacilityError
from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.publishing.claims import Claims
from offload.cache.publishing.errors import (
    NoImageError,
    PublishingError,
    RefusedImageError,
)
from offload.cache.publishing.fetching import Fetching, fetching
from offload.cache.publishing.images import Image, check_public
from offload.cache.publishing.inbox import LARGEST_CONFIG, blobs_of
from offload.cache.publishing.meanings import Meaning, meaning_of
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish, flat_path, layer_path
from offload.cache.publishing.shelf import (
    Shelf,
    put_image,
    put_name,
    remove_name,
)
from offload.cache.publishing.sources import Source
from offload.cache.publishing.trees import LayerTree
from offload.cache.publishing.work import MOST_CRASHES, State, Work
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

_WAIT_S = 60.0
"""For so long somebody else may be writing to the repository."""
_SETTLING_S = 5.0
"""For so long a registry may tell of a push before its tag leads to it."""
_PAUSE_S = 0.1
_PART = 0.1
_LONGEST_PAUSE_S = 10.0
"""Who waits for what is being made for another looks again after a part of his wait."""

log = logging.getLogger("facility.publisher")


class Publisher:
    """One per repository; several threads may work, each on another name.

    Args:
        shelf: the repository.
        queue: of names.
        store: where blobs are on their way.
        sources: by registry.
        wishes: what is published though it does not say that it is public.
        architecture: of the machines that images are for.
        scratch: folder for what has to lie on the disk for a moment.
        clock: seconds since the epoch.
        still: has nobody else hand over an image, for a moment.
    """

    def __init__(
        self,
        shelf: Shelf,
        queue: Queue,
        store: LocalStore,
        sources: Mapping[str, Source],
        wishes: Sequence[Wish],
        architecture: str,
        scratch: Path,
        clock: Callable[[], float] = time.time,
        *,
        still: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._shelf = shelf
        self._queue = queue
        self._store = store
        self._sources = sources
        self._wishes = wishes
        self._architecture = architecture
        self._scratch = scratch
        self._clock = clock
        self._still = still
        self._claims = Claims()

    def step(self) -> bool:
        """Look at the name whose turn it is; False if it is nobody's.

        What fails is written into the queue, whatever it is: others have their turn.
        Any thread may do so, at any time.
        """
        work = self._queue.take(self._clock())
        if work is None:
            return False
        try:
            self._look_at(work)
        except (RefusedImageError, RefusedItemError) as error:
            self._refuse(work, None, error)
        except (FacilityError, OSError) as error:
            log.warning("%s has to wait: %s", work.reference, error)
            self._queue.postpone(work, self._clock(), str(error))
        except Exception as error:  # we have erred: that shall not hold up the others
            log.exception("%s has to wait", work.reference)
            reason = f"the publisher has erred ({type(error).__name__}); see its log"
            self._queue.postpone(work, self._clock(), reason)
        return True

    def _look_at(self, work: Work) -> None:
        source = self._source(work.reference)
        meaning = meaning_of(work.reference, source, self._architecture)
        if self._is_early(work, meaning):
            self._queue.look_again(work, self._clock() + _PAUSE_S)
            return
        if meaning is None:
            self._forget(work.reference)
            self._queue.answer(work, State.GONE, None, self._clock())
            return
        image = meaning.image
        missing = {blob.digest for blob in self._missing(image)}
        wanted = {image.digest, image.config.digest, *missing}
        with self._claims.claimed(wanted) as is_ours:
            if not is_ours:  # what is being made for another need not be made twice
                now = self._clock()
                pause_s = _PAUSE_S + _PART * max(0.0, now - work.asked_at)
                self._queue.look_again(work, now + min(pause_s, _LONGEST_PAUSE_S))
                return
            if self._queue.begin(work, image.digest, self._clock()) >= MOST_CRASHES:
                self._set_aside(work, meaning)
                return
            try:
                self._ensure(work, source, image)
            except (RefusedImageError, RefusedItemError) as error:
                self._refuse(work, meaning, error)
                self._drop(image)
            else:
                # In this order: who is killed between them is asked once more.
                self._drop(image)
                self._answer(work, State.PUBLISHED, meaning)

    def _refuse(self, work: Work, meaning: Meaning | None, error: Exception) -> None:
        log.warning("%s is refused: %s", work.reference, error)
        self._answer(work, State.REFUSED, meaning, str(error))

    def _answer(
        self, work: Work, state: State, meaning: Meaning | None, detail: str = ""
    ) -> None:
        self._queue.answer(
            work,
            state,
            None if meaning is None else meaning.image.digest,
            self._clock(),
            told=None if meaning is None else meaning.told,
            detail=detail,
        )

    def _is_early(self, work: Work, meaning: Meaning | None) -> bool:
        """Whether the registry does not say yet what its own event has said."""
        told = None if meaning is None else meaning.told
        is_recent = self._clock() - work.asked_at < _SETTLING_S
        return work.expected not in {None, told} and is_recent

    def _set_aside(self, work: Work, meaning: Meaning) -> None:
        """Leave alone what ends us each time; what has come of it may be of use yet."""
        detail = (
            f"set aside for a day: the publisher ended {MOST_CRASHES} times while it "
            "worked on this image (killed, or out of memory?); once that is mended who "
            "runs the publisher can have it tried at once: facility images retry NAME"
        )
        log.error("%s is %s", work.reference, detail)
        self._answer(work, State.REFUSED, meaning, detail)

    def _source(self, reference: Reference) -> Source:
        source = self._sources.get(reference.registry)
        if source is None:
            raise RefusedImageError(
                f"{reference.registry} is no registry that `publisher` of facility.yaml "
                "names"
            )
        return source

    def _ensure(self, work: Work, source: Source, image: Image) -> None:
        """Let the name lead to the image, which is published if it is not."""
        reference = work.reference
        is_there = self._shelf.has_image(image.digest)
        if is_there and self._shelf.meaning(reference) == image.digest:
            return
        # Also of what is there under another name: it may have been made public there.
        self._check(source, reference, image)
        if is_there and self._name(reference, image):
            return
        begin = self._clock()
        missing = self._missing(image)
        with self._store.in_use():
            self._store.add(image.manifest)  # it says what is not to be cleared away
            total = sum(blob.size for blob in missing)
            with fetching(
                source,
                reference.repository,
                missing,
                self._store,
                lambda done: self._queue.progress(work, image.digest, done, total),
            ) as fetched:
                revision = self._publish(reference, image, missing, fetched)
        log.info(
            "revision %d: %s, layers: %d new of %d, %.2f s", revision, reference,
            len(missing), len(image.layers), self._clock() - begin,
        )  # fmt: skip

    def _publish(
        self,
        reference: Reference,
        image: Image,
        missing: Sequence[Blob],
        fetched: Fetching,
    ) -> int:
        """Make the image's revision of what has come and comes; return its number.

        What takes long is done while others publish.
        """
        layers = {
            blob.digest: LayerTree(
                partial(fetched.open, blob), blob.digest[:19], self._scratch
            )
            for blob in missing
        }
        repository = self._shelf.repository
        with repository.preparation(wait_s=_WAIT_S) as preparation:
            try:
                put_image(preparation, image, layers, self._shelf.implied)
            except (RefusedImageError, RefusedItemError):
                fetched.finish()  # what came wrong is no fault of the image
                raise
            fetched.finish()
            prepared = preparation.finish()
        with repository.transaction(wait_s=_WAIT_S) as change:
            change.put_prepared(prepared)
            for blob in image.layers:
                if change.lookup(layer_path(blob.digest)) is None:
                    raise PublishingError(f"{blob.digest} was removed meanwhile")
            put_name(change, reference, image.digest)
            return change.commit().revision

    def _missing(self, image: Image) -> list[Blob]:
        layers = dict.fromkeys(image.layers)
        return [blob for blob in layers if not self._shelf.has_layer(blob.digest)]

    def _name(self, reference: Reference, image: Image) -> bool:
        """Let the name lead to an image; False if it has been collected meanwhile."""
        with self._shelf.repository.transaction(wait_s=_WAIT_S) as change:
            if change.lookup(flat_path(image.digest)) is None:
                return False
            put_name(change, reference, image.digest)
            change.commit()
        return True

    def _check(self, source: Source, reference: Reference, image: Image) -> None:
        if image.config.size > LARGEST_CONFIG:
            raise NoImageError(f"a configuration of {image.config.size:,} bytes")
        with self._store.in_use():
            source.fetch(reference.repository, image.config, self._store)
        is_wished = any(wish.covers(reference) for wish in self._wishes)
        config = self._store.read(image.config.digest)
        check_public(image, config, is_wished=is_wished)

    def _forget(self, reference: Reference) -> None:
        """Take a name away that means nothing any more; its image stays for a while."""
        if self._shelf.meaning(reference) is not None:
            with self._shelf.repository.transaction(wait_s=_WAIT_S) as change:
                remove_name(change, reference)
                change.commit()
        if reference.is_pinned:
            # Registries tell of a deletion by digest: its tags are gone, too.
            self._queue.ask(
                [
                    entry.reference
                    for entry in self._queue.entries()
                    # The second one: what a tag is about to lead to.
                    if reference.version in {entry.told, entry.image}
                    and entry.reference.registry == reference.registry
                    and entry.reference.repository == reference.repository
                    and not entry.reference.is_pinned
                ],
                self._clock(),
            )

    def _drop(self, image: Image) -> None:
        """Delete what came for an image, published or refused, and for no other."""
        with self._still():
            needed = blobs_of(self._store, self._queue.waiting() - {image.digest})
            for digest in {image.digest, *(b.digest for b in image.blobs)} - needed:
                self._store.blob_path(digest).unlink(missing_ok=True)
