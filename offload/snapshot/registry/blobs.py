"""Moves blobs to and from a registry in pieces, going on where the line broke."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import httpx

from offload.snapshot.errors import DamagedError
from offload.snapshot.model import Blob
from offload.snapshot.registry.client import RegistryClient
from offload.snapshot.registry.errors import (
    RegistryAwayError,
    RegistryError,
)
from offload.snapshot.registry.sessions import Sessions
from offload.snapshot.store.local import LocalStore
from offload.snapshot.store.writing import BlobWriter

CHUNK_BYTES = 8 * 2**20
"""Of an upload; what a broken line costs at most."""
_READ_BYTES = 2**18
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")

Sent = Callable[[int], None]
"""Told of bytes that arrived; of fewer than nothing when some have to go again."""


class _LostError(RegistryError):
    """The registry forgot an upload, or its bytes: one that was restarted may."""


@dataclass(slots=True)
class _Session:
    location: str
    offset: int


def has_blob(client: RegistryClient, blob: Blob) -> bool:
    """Whether the registry has a blob, of the right size."""
    url = client.url(f"blobs/{blob.digest}")
    response = client.patiently(
        partial(client.request, "HEAD", url, expect=frozenset({200, 404}))
    )
    length = response.headers.get("Content-Length", str(blob.size))
    return response.status_code == 200 and length == str(blob.size)


def upload(
    client: RegistryClient,
    blob: Blob,
    store: LocalStore,
    sessions: Sessions,
    sent: Sent = lambda _: None,
) -> None:
    """Send a blob; what an earlier attempt sent, perhaps of another process, stays.

    Raises:
        RegistryAwayError: away for longer than the client's patience.
        RegistryRefusedError: it says no.
        MissingError: the store does not have the blob.
    """
    with store.open(blob.digest) as file:
        location = sessions.get(blob.digest)
        session = None if location is None else _ask(client, location, blob)
        failures = counted = 0
        while True:
            try:
                if session is None:
                    session = _begin(client)
                for _ in _chunks(client, session, blob, file):
                    sessions.put(blob.digest, session.location)
                    sent(session.offset - counted)
                    counted, failures = session.offset, 0
                _finish(client, session, blob)
            except RegistryAwayError as error:
                failures += 1
                client.wait(failures, error)
                session = session and _ask(client, session.location, blob)
            except _LostError as error:
                failures += 1
                client.wait(failures, RegistryAwayError(str(error)))
                session = None
            else:
                sessions.drop(blob.digest)
                return


def _begin(client: RegistryClient) -> _Session:
    response = client.request(
        "POST", client.url("blobs/uploads/"), expect=frozenset({202})
    )
    return _Session(_location(client, response), 0)


def _ask(client: RegistryClient, location: str, blob: Blob) -> _Session | None:
    """Return how far an upload is; None if it must begin anew."""
    try:
        response = client.request("GET", location, expect=frozenset({204}))
    except RegistryError:
        # Also one that is away: asking for a new upload will tell.
        return None
    offset = _end(response)
    if offset is None or offset > blob.size:
        return None
    return _Session(_location(client, response, location), offset)


def _chunks(
    client: RegistryClient, session: _Session, blob: Blob, file: BinaryIO
) -> Iterator[None]:
    """Send what is missing, one chunk after the other."""
    while session.offset < blob.size:
        length = min(CHUNK_BYTES, blob.size - session.offset)
        last = session.offset + length - 1
        response = client.request(
            "PATCH",
            session.location,
            expect=frozenset({202, 400, 404, 416}),
            content=partial(_read, file, session.offset, length),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{session.offset}-{last}",
                "Content-Length": str(length),
            },
        )
        if response.status_code != 202:
            raise _LostError(f"{client.address}: does not know an upload any more")
        session.location = _location(client, response)
        session.offset = min(_end(response) or last + 1, last + 1)
        yield


def _finish(client: RegistryClient, session: _Session, blob: Blob) -> None:
    url = str(httpx.URL(session.location).copy_merge_params({"digest": blob.digest}))
    response = client.request("PUT", url, expect=frozenset({201, 400, 404, 416}))
    if response.status_code != 201:
        raise _LostError(f"{client.address}: did not get the bytes that were sent")
    told = response.headers.get("Docker-Content-Digest", blob.digest)
    if told != blob.digest:
        raise RegistryError(
            f"{client.address}: expected to have sent {blob.digest}, "
            f"the registry got {told}"
        )


def download(
    client: RegistryClient,
    blob: Blob,
    store: LocalStore,
    sent: Sent,
    began: Callable[[Path], None] = lambda _: None,
) -> None:
    """Fetch a blob into the store, verified.

    Args:
        client: of the registry.
        blob: what is wanted.
        store: where to.
        sent: told of bytes that arrived; of fewer than nothing before some are dropped.
        began: told once of the file that they are appended to.

    Raises:
        DamagedError: what came is not what its digest says.
        RegistryMissingError: the registry does not have it.
    """
    with store.writer() as writer:
        began(writer.draft)
        nothing = writer.mark()
        failures = 0
        while True:
            before = writer.size
            try:
                with _part(client, blob, writer.size) as (response, is_whole):
                    if is_whole and writer.size:  # it knows nothing of parts
                        sent(-writer.size)
                        writer.back_to(nothing)
                    _receive(client, response, blob, writer, sent)
            except RegistryAwayError as error:
                failures = 1 if writer.size > before else failures + 1
                client.wait(failures, error)
            else:
                writer.commit(blob.digest)
                return


@contextmanager
def _part(
    client: RegistryClient, blob: Blob, offset: int
) -> Iterator[tuple[httpx.Response, bool]]:
    """Ask for a blob from an offset on; also yield whether all of it is given."""
    with client.stream(
        "GET",
        client.url(f"blobs/{blob.digest}"),
        expect=frozenset({200, 206}),
        headers={"Range": f"bytes={offset}-"} if offset else {},
    ) as response:
        yield response, response.status_code == 200


def _receive(
    client: RegistryClient,
    response: httpx.Response,
    blob: Blob,
    writer: BlobWriter,
    sent: Sent,
) -> None:
    try:
        for data in response.iter_raw(_READ_BYTES):
            if writer.size + len(data) > blob.size:
                raise DamagedError(
                    f"{client.address}: expected {blob.size} bytes as {blob.digest}, "
                    "got more"
                )
            writer.write(data)
            sent(len(data))
    except httpx.RequestError as error:
        reason = str(error) or type(error).__name__
        raise RegistryAwayError(
            f"{client.address}: the line broke: {reason}"
        ) from error
    if writer.size < blob.size:
        raise RegistryAwayError(f"{client.address}: the line broke")


def _read(file: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    file.seek(offset)
    while length:
        data = file.read(min(_READ_BYTES, length))
        if not data:
            raise DamagedError(f"{file.name}: shorter than it was")
        length -= len(data)
        yield data


def _location(
    client: RegistryClient, response: httpx.Response, otherwise: str = ""
) -> str:
    location = response.headers.get("Location", otherwise)
    if not location:
        raise RegistryError(f"{client.address}: does not say where to upload to")
    return client.locate(location)


def _end(response: httpx.Response) -> int | None:
    """Return how many bytes the registry has: ``Range`` names the last one."""
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    if match is None:
        return None
    # "0-0" is what registries say of nothing as well as of one byte.
    return int(match[1]) + 1 if match[1] != "0" else 0
