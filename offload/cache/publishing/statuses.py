"""What is told of images: the queue's knowledge and the repository's, together."""

from __future__ import annotations

from collections.abc import Iterable

from offload.cache.publishing.pins import Pins
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, flat_path, is_digest
from offload.cache.publishing.shelf import Shelf
from offload.cache.publishing.status import ImageState, Status
from offload.cache.publishing.work import Entry, State


class Statuses:
    """Answers what is known of an image; any thread may ask."""

    def __init__(self, shelf: Shelf, queue: Queue, pins: Pins) -> None:
        self._shelf = shelf
        self._queue = queue
        self._pins = pins

    def of(self, image: str) -> Status:
        """Return what is known of an image by digest or by name.

        Raises:
            PublishingError: it is neither.
        """
        if is_digest(image):
            return self._of_image(image, self._queue.entries(image))
        reference = Reference.parse(image)
        entry = self._queue.entry(reference)
        meaning = self._shelf.meaning(reference)
        if entry is not None and entry.state is not State.PUBLISHED:
            return self._described(ImageState(entry.state), entry.image, [entry])
        if meaning is None:  # never heard of, or rolled back to before it
            return self._described(ImageState.UNKNOWN, None, [])
        return self._of_image(meaning, self._queue.entries(meaning))

    def all(self) -> list[Status]:
        """Return every image that is published, and every name that waits to be."""
        entries = self._queue.entries()
        by_image: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.image is not None:
                by_image.setdefault(entry.image, []).append(entry)
        published = self._shelf.images()
        found = [self._of_image(image, by_image.get(image, ())) for image in published]
        for entry in entries:
            waits = entry.state is State.WAITING and not (
                entry.image in published and self._leads(entry)
            )
            if waits or entry.state is State.REFUSED:
                state = ImageState(entry.state)
                found.append(self._described(state, entry.image, [entry]))
        return found

    def _of_image(self, image: str, entries: Iterable[Entry]) -> Status:
        mine = list(entries)
        if self._shelf.has_image(image):
            there = [entry for entry in mine if self._leads(entry)]
            return self._described(ImageState.PUBLISHED, image, there)
        for state in (State.WAITING, State.REFUSED):
            chosen = [entry for entry in mine if entry.state is state]
            if chosen:
                return self._described(ImageState(state), image, chosen)
        return self._described(ImageState.UNKNOWN, image, [])

    def _leads(self, entry: Entry) -> bool:
        """Whether a name leads to its image; the queue may learn of it a moment later."""
        return self._shelf.meaning(entry.reference) == entry.image

    def _described(
        self, state: ImageState, image: str | None, entries: list[Entry]
    ) -> Status:
        is_there = state is ImageState.PUBLISHED and image is not None
        needs = [] if image is None else self._pins.of(image)
        is_used = bool(entries or needs)
        head = self._shelf.head()
        return Status(
            state,
            image,
            tuple(sorted(str(entry.reference) for entry in entries)),
            detail=""
            if is_there
            else next((e.detail for e in entries if e.detail), ""),
            done=0 if is_there else max((e.done for e in entries), default=0),
            total=0 if is_there else max((e.total for e in entries), default=0),
            path=f"/{flat_path(image).decode()}" if is_there and image else None,
            revision=head.revision,
            fqrn=head.fqrn,
            asked_at=max((e.asked_at for e in entries), default=None),
            pins=tuple(f"{n.person}/{n.uid}" for n in needs if n.until is None),
            leases=tuple((f"{n.person}/{n.uid}", n.until) for n in needs if n.until),
            unused_since=self._pins.unused_since_of(image)
            if image is not None and not is_used
            else None,
        )
