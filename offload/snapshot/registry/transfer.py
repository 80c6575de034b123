"""Keeps snapshots in an OCI registry: only what it lacks is sent.

An image arrives with its blobs first and its manifest last, so that a registry never
names a snapshot it does not have whole.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from offload.snapshot.errors import DamagedError
from offload.snapshot.images.image import blobs, read_image
from offload.snapshot.images.public import PublicImage, write_public_image
from offload.snapshot.model import Blob, Snapshot
from offload.snapshot.registry.address import RegistryAddress
from offload.snapshot.registry.blobs import download, has_blob, upload
from offload.snapshot.registry.client import PATIENCE, Patience, RegistryClient
from offload.snapshot.registry.credentials import find_credentials, read_credentials
from offload.snapshot.registry.errors import RegistryError
from offload.snapshot.registry.sessions import Sessions
from offload.snapshot.store.local import MANIFEST_TYPE, LocalStore

_WORKERS = 4

Done = TypeVar("Done")
Progress = Callable[[int, int], None]
"""Called with bytes that are there and bytes that have to be; from any thread."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What moved."""

    sent: tuple[Blob, ...]
    """Blobs that the other side did not have; its manifest not counted."""

    @property
    def size(self) -> int:
        """Bytes of what moved."""
        return sum(blob.size for blob in self.sent)


@dataclass(frozen=True, slots=True)
class Registry:
    """Which registry, and how it is reached."""

    url: str
    """``https://HOST[:PORT]/NAME`` of a repository."""
    credentials: Path | None = None
    """File of mode 0600 with ``USERNAME:PASSWORD``; None takes what ``docker login``
    or ``podman login`` left."""
    ca: Path | None = None
    """PEM file of certificates to trust besides the system's."""
    patience: Patience = PATIENCE

    @contextmanager
    def client(self) -> Iterator[RegistryClient]:
        """Open a connection, for as long as the block takes.

        Raises:
            RegistryAddressError: URL, credentials or certificates are no such thing.
        """
        address = RegistryAddress.parse(self.url)
        if self.credentials is None:
            credentials = find_credentials(address)
        else:
            credentials = read_credentials(self.credentials)
        with RegistryClient(
            address, credentials, ca=self.ca, patience=self.patience
        ) as client:
            yield client


def push(
    store: LocalStore,
    image: str,
    registry: Registry,
    *,
    progress: Progress | None = None,
) -> Transfer:
    """Put an image of the store into a registry; nothing happens if it is there.

    It may be interrupted at any moment and done again: what arrived stays.

    Args:
        store: where the image is.
        image: digest of its manifest.
        registry: where it goes.
        progress: told of bytes, also of those that need not move.

    Raises:
        RegistryAwayError: the registry is away for longer than its patience; later.
        RegistryRefusedError: it says no; somebody has to change something.
        MissingError: the store does not have the image.
    """
    with registry.client() as client, store.in_use():
        tag = f"snapshot-{image.partition(':')[2]}"
        return _push(client, store, blobs(image, store), tag, progress)


def push_public(
    store: LocalStore,
    image: str,
    registry: Registry,
    proven: Collection[str],
    *,
    progress: Progress | None = None,
) -> PublicImage | None:
    """Put what is public of a snapshot's image into a registry, as an image of its own.

    Args:
        store: where the image is.
        image: digest of the snapshot's manifest; nothing else of it moves.
        registry: where its public part goes.
        proven: digests of the layers that may be in it.
        progress: as of :func:`push`.

    Returns:
        What is there now; None if nothing of the snapshot is public.

    Raises:
        RegistryAwayError, RegistryRefusedError, MissingError: as :func:`push`.
    """
    with registry.client() as client, store.in_use():
        public = write_public_image(store, image, proven)
        if public is not None:
            _push(client, store, public.blobs, public.tag, progress)
    return public


def _push(
    client: RegistryClient,
    store: LocalStore,
    image: Sequence[Blob],
    tag: str,
    progress: Progress | None,
) -> Transfer:
    manifest, *others = image
    if _has_manifest(client, manifest.digest, tag):
        return Transfer(())
    meter = _Meter(progress, sum(blob.size for blob in others))
    sessions = Sessions(store, client.address)

    def send(blob: Blob) -> Blob | None:
        if has_blob(client, blob):
            meter.add(blob.size)
            return None
        upload(client, blob, store, sessions, meter.add)
        return blob

    sent = _in_parallel(send, others)
    _put_manifest(client, store.read(manifest.digest), manifest.digest, tag)
    return Transfer(tuple(blob for blob in sent if blob is not None))


def pull(
    store: LocalStore,
    image: str,
    registry: Registry,
    *,
    progress: Progress | None = None,
) -> Snapshot:
    """Fetch an image into the store, every byte verified, and return its snapshot.

    Raises:
        RegistryMissingError: the registry does not have it.
        RegistryAwayError: the registry is away for longer than its patience.
        RegistryRefusedError: it says no.
        DamagedError: what it gives is not what was asked for.
    """
    with registry.client() as client, store.in_use():
        manifest = _get_manifest(client, image)
        wanted = [blob for blob in _listed(manifest) if not store.has(blob.digest)]
        meter = _Meter(progress, sum(blob.size for blob in wanted))
        _in_parallel(partial(_fetch, client, store, meter), wanted)
        store.add(manifest)
        snapshot = read_image(store, image).snapshot
        store.add_image(manifest, snapshot.id.partition(":")[2][:12])
    return snapshot


def _fetch(
    client: RegistryClient, store: LocalStore, meter: _Meter, blob: Blob
) -> None:
    download(client, blob, store, meter.add)


def _has_manifest(client: RegistryClient, image: str, tag: str) -> bool:
    response = client.patiently(
        partial(
            client.request,
            "HEAD",
            client.url(f"manifests/{tag}"),
            expect=frozenset({200, 404}),
            headers={"Accept": MANIFEST_TYPE},
        )
    )
    told = response.headers.get("Docker-Content-Digest", image)
    return response.status_code == 200 and told == image


def _put_manifest(client: RegistryClient, data: bytes, image: str, tag: str) -> None:
    # A tag: many registries collect what only a digest names.
    response = client.patiently(
        partial(
            client.request,
            "PUT",
            client.url(f"manifests/{tag}"),
            expect=frozenset({201}),
            content=data,
            headers={"Content-Type": MANIFEST_TYPE},
        )
    )
    told = response.headers.get("Docker-Content-Digest", image)
    if told != image:
        raise RegistryError(
            f"{client.address}: expected the image to be {image}, the registry got {told}"
        )


def _get_manifest(client: RegistryClient, image: str) -> bytes:
    data = client.patiently(
        partial(
            client.request,
            "GET",
            client.url(f"manifests/{image}"),
            expect=frozenset({200}),
            headers={"Accept": MANIFEST_TYPE},
        )
    ).content
    got = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if got != image:
        raise DamagedError(f"{client.address}: expected the image {image}, got {got}")
    return data


def _listed(manifest: bytes) -> list[Blob]:
    try:
        data = json.loads(manifest)
        found = [
            Blob(str(each["digest"]), int(each["size"]))
            for each in (data["config"], *data["layers"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"expected the manifest of an image: {error}") from None
    return list(dict.fromkeys(found))


class _Meter:
    """Adds up what threads have moved."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress or (lambda _done, _total: None)
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._progress(self._done, self._total)


def _in_parallel(do: Callable[[Blob], Done], wanted: Sequence[Blob]) -> list[Done]:
    """Do something with every blob; after the first failure begin no more."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(do, blob) for blob in wanted]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
