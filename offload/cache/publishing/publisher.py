"""Does what a name in the queue asks for: looks what it means, and makes it visible.

Every step may be done again: layers that are published are neither fetched nor read, a
tree that is there is not made, and a revision appears only if something changes. Who is
killed in between finds the name still in the queue, and the blobs that had come.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facility.errors import FacilityError
from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.publishing.errors import NoImageError, RefusedImageError
from offload.cache.publishing.fetching import Fetching, fetching
from offload.cache.publishing.images import (
    Image,
    check_public,
    digest_of,
    read_manifest,
)
from offload.cache.publishing.inbox import LARGEST_CONFIG, blobs_of
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish, flat_path
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

log = logging.getLogger("facility.publisher")


class Publisher:
    """One at a time per repository: names are looked at one after the other.

    Args:
        shelf: the repository.
        queue: of names.
        store: where blobs are on their way.
        sources: by registry.
        wishes: what is published though it does not say that it is public.
        architecture: of the machines that images are for.
        scratch: file for what has to lie on the disk for a moment.
        clock: seconds since the epoch.
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
    ) -> None:
        self._shelf = shelf
        self._queue = queue
        self._store = store
        self._sources = sources
        self._wishes = wishes
        self._architecture = architecture
        self._scratch = scratch
        self._clock = clock

    def step(self) -> bool:
        """Look at the name whose turn it is; False if it is nobody's.

        What fails is written into the queue, whatever it is: others have their turn.
        """
        work = self._queue.take(self._clock())
        if work is None:
            return False
        meaning: Meaning | None = None
        image: Image | None = None
        try:
            source = self._source(work.reference)
            meaning = self._meaning(source, work)
            if self._is_early(work, meaning):
                self._queue.look_again(work, self._clock() + _PAUSE_S)
                return True
            if meaning is None:
                self._forget(work.reference)
                self._queue.answer(work, State.GONE, None, self._clock())
                return True
            image = meaning.image
            if work.crashes >= MOST_CRASHES:
                self._set_aside(work, meaning)
                return True
            self._ensure(work, source, image)
        except (RefusedImageError, RefusedItemError) as error:
            log.warning("%s is refused: %s", work.reference, error)
            state, detail = State.REFUSED, str(error)
        except (FacilityError, OSError) as error:
            log.warning("%s has to wait: %s", work.reference, error)
            self._queue.postpone(work, self._clock(), str(error))
            return True
        except Exception as error:  # we have erred: that shall not hold up the others
            log.exception("%s has to wait", work.reference)
            reason = f"the publisher has erred ({type(error).__name__}); see its log"
            self._queue.postpone(work, self._clock(), reason)
            return True
        else:
            state, detail = State.PUBLISHED, ""
        self._queue.answer(
            work,
            state,
            None if image is None else image.digest,
            self._clock(),
            told=None if meaning is None else meaning.told,
            detail=detail,
        )
        if image is not None:
            self._drop(image)
        return True

    def _is_early(self, work: Work, meaning: Meaning | None) -> bool:
        """Whether the registry does not say yet what its own event has said."""
        told = None if meaning is None else meaning.told
        is_recent = self._clock() - work.asked_at < _SETTLING_S
        return work.expected not in {None, told} and is_recent

    def _set_aside(self, work: Work, meaning: Meaning) -> None:
        """Leave alone what ends us each time; what has come of it may be of use yet."""
        detail = (
            f"set aside: the publisher ended {work.crashes} times while it worked on "
            "this image (killed, or out of memory?); push it again once that is mended, "
            "or: facility images retry NAME"
        )
        log.error("%s is %s", work.reference, detail)
        self._queue.answer(
            work,
            State.REFUSED,
            meaning.image.digest,
            self._clock(),
            told=meaning.told,
            detail=detail,
        )

    def _source(self, reference: Reference) -> Source:
        source = self._sources.get(reference.registry)
        if source is None:
            raise RefusedImageError(
                f"{reference.registry} is no registry that `publisher` of facility.yaml "
                "names"
            )
        return source

    def _meaning(self, source: Source, work: Work) -> Meaning | None:
        repository, version = work.reference.repository, work.reference.version
        manifest = source.manifest(repository, version)
        if manifest is None:
            return None
        told = digest_of(manifest)
        image = read_manifest(manifest, self._architecture)
        if isinstance(image, str):  # an index: it names the image for our machines
            inner = source.manifest(repository, image)
            if inner is None:
                raise NoImageError(f"its index names {image}, which is not there")
            image = read_manifest(inner, self._architecture)
            if isinstance(image, str):
                raise NoImageError("its index leads to another index")
        return Meaning(told, image)

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
        missing = [
            blob
            for blob in dict.fromkeys(image.layers)
            if not self._shelf.has_layer(blob.digest)
        ]
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
                # Not from the start: others may want to write to the repository.
                fetched.wait()
                revision = self._publish(reference, image, missing, fetched)
        log.info(
            "revision %d: %s, %d of %d layers are new, %.2f s",
            revision,
            reference,
            len(missing),
            len(image.layers),
            self._clock() - begin,
        )

    def _publish(
        self,
        reference: Reference,
        image: Image,
        missing: Sequence[Blob],
        fetched: Fetching,
    ) -> int:
        """Make the image's revision of what has come and comes; return its number."""
        with self._shelf.repository.transaction(wait_s=_WAIT_S) as change:
            layers = {
                blob.digest: LayerTree(
                    partial(fetched.open, blob), blob.digest[:19], self._scratch
                )
                for blob in missing
            }
            try:
                put_image(change, image, layers, self._shelf.implied)
            except (RefusedImageError, RefusedItemError):
                fetched.finish()  # what came wrong is no fault of the image
                raise
            fetched.finish()
            put_name(change, reference, image.digest)
            return change.commit().revision

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
                    if entry.told == reference.version
                    and entry.reference.registry == reference.registry
                    and entry.reference.repository == reference.repository
                    and not entry.reference.is_pinned
                ],
                self._clock(),
            )

    def _drop(self, image: Image) -> None:
        """Delete what came for an image, published or refused, and for no other."""
        needed = blobs_of(self._store, self._queue.waiting() - {image.digest})
        for digest in {image.digest, *(blob.digest for blob in image.blobs)} - needed:
            self._store.blob_path(digest).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means in its registry now."""

    told: str
    """Digest of its manifest, or of the index that it has."""
    image: Image
