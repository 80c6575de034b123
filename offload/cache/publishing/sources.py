"""Where images come from: registries, and what was handed over directly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

import httpx

from offload.cache.publishing.errors import NoImageError, PublishingError
from offload.cache.publishing.images import ACCEPT, LARGEST_MANIFEST, digest_of
from offload.cache.publishing.references import (
    INBOX,
    Reference,
    is_digest,
    is_repository,
    is_tag,
)
from offload.snapshot.model import Blob
from offload.snapshot.registry.blobs import download
from offload.snapshot.registry.client import PATIENCE, Patience, RegistryClient
from offload.snapshot.registry.errors import RegistryAwayError
from offload.snapshot.registry.transfer import Registry
from offload.snapshot.store.local import LocalStore


class Watcher:
    """Told of a blob that comes; this one does not care."""

    def began(self, draft: Path) -> None:
        """Hear of the file that bytes are appended to, before the first one."""

    def got(self, size: int) -> None:
        """Hear of bytes that arrived; fewer than nothing when some have to come again."""


NOBODY = Watcher()


class Source(Protocol):
    """Something that has images."""

    def manifest(self, repository: str, version: str) -> bytes | None:
        """Return what a tag or digest means now; None if it means nothing any more."""

    def fetch(
        self, repository: str, blob: Blob, store: LocalStore, watcher: Watcher = NOBODY
    ) -> None:
        """Put a blob into the store, verified; nothing happens if it is there."""


@dataclass(slots=True)
class RegistrySource:
    """One registry, as the facility names it. Any thread may ask."""

    url: str
    """``https://HOST[:PORT]``."""
    credentials: Path | None = None
    """See :class:`offload.snapshot.registry.transfer.Registry`."""
    ca: Path | None = None
    patience: Patience = PATIENCE
    _clients: dict[str, RegistryClient] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def manifest(self, repository: str, version: str) -> bytes | None:
        client = self._client(repository)
        data = client.patiently(partial(_manifest, client, version))
        if data is None:
            return None
        if version.startswith("sha256:") and digest_of(data) != version:
            raise PublishingError(
                f"{client.address}: expected {version}, got {digest_of(data)}"
            )
        return data

    def digest(self, repository: str, tag: str) -> str | None:
        """Return the digest that a tag has now, or None, without its manifest.

        A registry that does not tell is asked for the manifest.
        """
        client = self._client(repository)
        response = client.patiently(
            partial(
                client.request,
                "HEAD",
                client.url(f"manifests/{tag}"),
                expect=frozenset({200, 404}),
                headers={"Accept": ACCEPT},
            )
        )
        if response.status_code == 404:
            return None
        told: str | None = response.headers.get("Docker-Content-Digest")
        if told is None:
            data = self.manifest(repository, tag)
            return None if data is None else digest_of(data)
        return told

    def tags(self, repository: str) -> Iterator[str]:
        """Yield every tag of a repository; none if there is no such repository."""
        client = self._client(repository)
        url: str | None = client.url("tags/list?n=1000")
        while url is not None:
            response = client.patiently(
                partial(client.request, "GET", url, expect=frozenset({200, 404}))
            )
            if response.status_code == 404:
                return
            try:
                found = [str(tag) for tag in json.loads(response.content)["tags"] or ()]
            except (ValueError, KeyError, TypeError):
                raise PublishingError(
                    f"{client.address}: expected a list of tags, got something else"
                ) from None
            yield from filter(is_tag, found)
            following = response.links.get("next", {}).get("url")
            url = None if following is None else client.locate(urljoin(url, following))

    def fetch(
        self, repository: str, blob: Blob, store: LocalStore, watcher: Watcher = NOBODY
    ) -> None:
        if store.has(blob.digest):
            watcher.got(blob.size)
        else:
            client = self._client(repository)
            download(client, blob, store, watcher.got, watcher.began)

    def close(self) -> None:
        """Close every connection."""
        self._open.close()

    def _client(self, repository: str) -> RegistryClient:
        with self._lock:
            if repository not in self._clients:
                assert is_repository(repository)
                registry = Registry(
                    f"{self.url.rstrip('/')}/{repository}",
                    credentials=self.credentials,
                    ca=self.ca,
                    patience=self.patience,
                )
                client = self._open.enter_context(registry.client())
                self._clients[repository] = client
            return self._clients[repository]


def _manifest(client: RegistryClient, version: str) -> bytes | None:
    with client.stream(
        "GET",
        client.url(f"manifests/{version}"),
        expect=frozenset({200, 404}),
        # As it is: what unfolds on the way in may be of any size.
        headers={"Accept": ACCEPT, "Accept-Encoding": "identity"},
    ) as response:
        if response.status_code == 404:
            return None
        data = bytearray()
        try:
            for piece in response.iter_raw():
                data += piece
                if len(data) > LARGEST_MANIFEST:
                    raise NoImageError(
                        f"{client.address}: {version}: a manifest of more than "
                        f"{LARGEST_MANIFEST:,} bytes"
                    )
        except httpx.RequestError as error:
            raise RegistryAwayError(
                f"{client.address}: the line broke: {str(error) or type(error).__name__}"
            ) from error
        return bytes(data)


@dataclass(frozen=True, slots=True)
class InboxSource:
    """Images that were handed over: their blobs are in the store, or published."""

    store: LocalStore
    published: Callable[[str], bytes | None]
    """Returns the manifest of an image by its digest, if it is published."""

    def manifest(self, repository: str, version: str) -> bytes | None:
        del repository
        if not is_digest(version):
            return None
        found = self.published(version)
        if found is None and self.store.has(version):
            found = self.store.read(version)
        return found

    def fetch(
        self, repository: str, blob: Blob, store: LocalStore, watcher: Watcher = NOBODY
    ) -> None:
        del repository
        if not store.has(blob.digest):
            raise PublishingError(
                f"{blob.digest} was handed over and is not here any more; hand the "
                "image over again"
            )
        watcher.got(blob.size)


def inbox_reference(image: str) -> Reference:
    """Return the name of an image that was handed over."""
    return Reference(INBOX, "snapshots", image)
