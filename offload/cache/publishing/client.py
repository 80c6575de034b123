"""Asks a publisher, and hands images over to it.

Any step may be repeated: what arrived stays, what is published is not sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from offload.cache.publishing.connection import Connection
from offload.cache.publishing.errors import (
    PublishingError,
)
from offload.cache.publishing.references import INBOX
from offload.cache.publishing.status import ImageState, Status
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

_TIMEOUT = httpx.Timeout(90, connect=5)
_CHUNK_BYTES = 8 << 20
_LONGEST_POLL_S = 30.0
_PAUSE_S = 0.2

Progress = Callable[[int, int], None]
"""Called with bytes that are there and bytes that have to be."""


class PublisherClient:
    """One publisher; use it in a ``with`` block, or close it.

    Every method raises :class:`PublisherAwayError` if it cannot be reached, and
    :class:`PublishingError` if it says no.

    Args:
        url: ``http://HOST:PORT``.
        token: who we are, for what not everybody may; None is nobody.

    Raises:
        PublishingError: the token would travel where others can read it.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._line = Connection(url, token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def has(self, image: str) -> bool:
        """Whether an image (its manifest's digest) is in the repository."""
        return self.status(image).is_published

    def status(self, image: str, *, wait_s: float = 0.0) -> Status:
        """Return what is known of an image, by digest or by name (``HOST/NAME:TAG``).

        Args:
            image: which.
            wait_s: return at the latest then; at once if waiting changes nothing.
        """
        path = f"/images/{_quoted(image, '/:@')}"
        return Status.of(self._line.json("GET", path, params={"wait_s": wait_s}))

    def images(self) -> tuple[Status, ...]:
        """Return every image that is published or waits to be."""
        return tuple(
            Status.of(each) for each in self._line.json("GET", "/images")["images"]
        )

    def wait(
        self,
        image: str,
        timeout_s: float,
        progress: Progress = lambda _done, _total: None,
    ) -> Status:
        """Wait until an image is published, refused or gone; return what it is then.

        Raises:
            PublishingError: it takes longer.
        """
        until = time.monotonic() + timeout_s
        while True:
            left_s = until - time.monotonic()
            status = self.status(image, wait_s=max(0.0, min(left_s, 1.0)))
            progress(status.done, status.total)
            if status.is_final:
                return status
            if left_s <= 0:
                why = status.detail
                if status.state is ImageState.UNKNOWN:
                    why = "nobody has told the publisher of it"
                raise PublishingError(
                    f"{image} is not published after {timeout_s:g} s"
                    + (f": {why}" if why else "")
                )
            if status.state is ImageState.UNKNOWN:
                time.sleep(_PAUSE_S)

    def publish(
        self,
        image: str,
        blobs: Iterable[Blob],
        store: LocalStore,
        progress: Progress = lambda _done, _total: None,
    ) -> Status:
        """Hand an image over; return once the publisher has it, not when it is visible.

        Args:
            image: digest of its manifest.
            blobs: configuration and layers; the manifest may be among them.
            store: where all of it is.
            progress: told of bytes, also of those that need not move.

        Raises:
            RefusedImageError: it will not be published.
        """
        known = self.status(image)
        if known.is_published:
            for name in known.names:
                if name.startswith(f"{INBOX}/"):  # it is asked for again: it stays
                    self.look(name)
        if known.is_published or known.state is ImageState.REFUSED:
            return known  # the same bytes would be refused again
        wanted = [blob for blob in dict.fromkeys(blobs) if blob.digest != image]
        document = {"blobs": [{"digest": b.digest, "size": b.size} for b in wanted]}
        missing = {
            each["digest"]: int(each["offset"])
            for each in self._line.json("POST", "/inbox/missing", json=document)[
                "missing"
            ]
        }
        total = sum(blob.size for blob in wanted)
        done = total - sum(
            b.size - missing[b.digest] for b in wanted if b.digest in missing
        )
        progress(done, total)
        for blob in wanted:
            if blob.digest in missing:
                for size in self._send(blob, missing[blob.digest], store):
                    done += size
                    progress(done, total)
        manifest = store.read(image)
        return Status.of(
            self._line.json("PUT", f"/inbox/images/{image}", content=manifest)
        )

    def look(self, name: str) -> None:
        """Have a name of a registry looked at, as an event of the registry would."""
        self._line.json("POST", "/names", json={"name": name})

    def pin(self, uid: str, image: str) -> None:
        """Keep an image for a need, such as a pod by its UID; again is fine."""
        self._line.json("PUT", f"/pins/{_quoted(uid, '')}/{_quoted(image)}")

    def unpin(self, uid: str, image: str | None = None) -> int:
        """Forget a need, or what it has of one image; return how many pins went."""
        rest = "" if image is None else f"/{_quoted(image)}"
        answer = self._line.json("DELETE", f"/pins/{_quoted(uid, '')}{rest}")
        return int(answer["removed"])

    def release(self, image: str) -> int:
        """Take back everybody's pins and leases of an image; return how many.

        Agents whose jobs still need it lease it again within a day. Administrators only.
        """
        return int(self._line.json("DELETE", f"/needs/{_quoted(image)}")["removed"])

    def lease(self, uid: str, images: Collection[str], for_s: float) -> None:
        """Keep these images for so long, and none that the need kept before.

        Again is fine, and begins anew; without images it is given up.
        """
        document = {"images": sorted(images), "for_s": for_s}
        self._line.json("PUT", f"/leases/{_quoted(uid, '')}", json=document)

    def bundle(self, image: str, trace: bytes) -> int:
        """Have what a cold start needs published as one file; return its objects.

        Args:
            image: digest of its manifest.
            trace: what jobs have read, as a site's cache writes it.
        """
        path = f"/bundles/{_quoted(image)}"
        return int(self._line.json("PUT", path, content=trace)["objects"])

    def remove(self, name: str) -> None:
        """Take a name out of the repository; its image stays for the grace period."""
        self._line.json("DELETE", f"/names/{_quoted(name, '/:@')}")

    def revisions(self) -> list[dict[str, Any]]:
        """Return the revisions that are kept, the oldest first."""
        found = self._line.json("GET", "/revisions")["revisions"]
        assert isinstance(found, list)
        return found

    def rollback(self, tag: str) -> int:
        """Publish again what a kept revision held; return the new revision."""
        return int(self._line.json("POST", "/rollback", json={"tag": tag})["revision"])

    def collect(
        self, *, dry_run: bool = False, at_once: bool = False
    ) -> dict[str, Any]:
        """Remove what nothing refers to and the grace period is over for."""
        document = {"dry_run": dry_run, "at_once": at_once}
        return self._line.json("POST", "/collect", json=document)

    def _send(self, blob: Blob, offset: int, store: LocalStore) -> Iterator[int]:
        """Send a blob from an offset on; yield how many bytes arrived, time by time."""
        url = f"/inbox/blobs/{blob.digest}"
        with store.open(blob.digest) as file:
            while offset < blob.size or blob.size == 0:
                file.seek(offset)
                data = file.read(_CHUNK_BYTES)
                response = self._line.ask(
                    "PATCH",
                    url,
                    content=data,
                    headers={
                        "Upload-Offset": str(offset),
                        "Upload-Length": str(blob.size),
                    },
                )
                if response.status_code not in {201, 204, 409}:
                    raise self._line.refusal(response)
                # Another may have sent some meanwhile.
                now_at = int(response.headers.get("Upload-Offset", offset))
                yield now_at - offset
                offset = now_at
                if response.status_code == 201:
                    return


def _quoted(name: str, safe: str = ":") -> str:
    return quote(name, safe=safe, errors="replace")


__all__ = ["ImageState", "Progress", "PublisherClient", "Status"]
