"""What this plugin can do beyond interLink; see :mod:`offload.interlink.extensions`."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request, Response

from offload.cache import CacheError, NoSpaceError, OffsetError
from offload.interlink.extensions import (
    PREFIX,
    Blob,
    BlobsWanted,
    MissingBlob,
    MissingBlobs,
    Received,
)
from offload.outputs import PACK
from offload.plugins.bodies import body_of, message, parse
from offload.plugins.log_routes import find_log
from offload.plugins.problems import ProblemError, unknown_pod
from offload.plugins.ranges import range_response
from offload.plugins.records import Stage
from offload.plugins.site import Site
from offload.plugins.table import Entry
from offload.snapshot import Blob as StoredBlob

_BLOCK = 1 << 20
_LONGEST_POLL_S = 60.0


def add_extensions(app: FastAPI, site: Site) -> None:
    """Add the routes."""
    _add_blobs(app, site)
    _add_returns(app, site)

    @app.get(f"{PREFIX}/changes")
    async def changes(since: int = 0, timeout_s: float = 30.0) -> Response:
        patience_s = max(0.0, min(timeout_s, _LONGEST_POLL_S))
        return message(await site.table.changes(since, patience_s))


def _add_blobs(app: FastAPI, site: Site) -> None:
    @app.post(f"{PREFIX}/blobs/missing")
    async def missing(request: Request) -> Response:
        wanted = parse(BlobsWanted.model_validate_json, await body_of(request))
        found = await asyncio.to_thread(_missing, site, wanted)
        return message(MissingBlobs(missing=found))

    @app.patch(f"{PREFIX}/blobs/{{digest}}")
    async def send(digest: str, request: Request) -> Response:
        try:
            return await _receive(site, digest, request)
        except OffsetError as error:
            raise ProblemError(
                409,
                "wrong-offset",
                str(error),
                headers={"Upload-Offset": str(error.expected)},
            ) from None
        except NoSpaceError as error:
            raise ProblemError(507, "no-space", str(error)) from None
        except CacheError as error:
            raise ProblemError(422, "wrong-bytes", str(error)) from None


def _add_returns(app: FastAPI, site: Site) -> None:
    @app.get(f"{PREFIX}/pods/{{uid}}/outputs")
    async def outputs(uid: str, request: Request) -> Response:
        entry = _known(site, uid)
        done = entry.facts.done
        if entry.record.stage is not Stage.ENDED and not site.table.is_final(entry):
            raise ProblemError(425, "not-ready", f"pod {uid} has not ended")
        path = site.table.work.pod(uid).path / PACK
        if done is None or not done.outputs_digest or not path.exists():
            raise ProblemError(404, "no-outputs", f"pod {uid} has no outputs to fetch")
        return range_response(request, path, etag=done.outputs_digest)

    @app.post(f"{PREFIX}/pods/{{uid}}/outputs/received")
    async def received(uid: str, request: Request) -> Response:
        entry = _known(site, uid)
        digest = parse(Received.model_validate_json, await body_of(request)).digest
        done = entry.facts.done
        if done is None or done.outputs_digest != digest:
            have = done.outputs_digest if done is not None else "none"
            raise ProblemError(
                409, "other-outputs", f"pod {uid}: expected {have}, got {digest[:80]}"
            )
        site.table.save(entry, entry.record.changed(received=digest))
        return Response(status_code=204)

    @app.get(f"{PREFIX}/pods/{{uid}}/logs/{{container}}")
    async def logs(uid: str, container: str, request: Request) -> Response:
        entry = _known(site, uid)
        return range_response(request, find_log(site, entry, container).path)


def _known(site: Site, uid: str) -> Entry:
    entry = site.table.get(uid)
    if entry is None:
        raise unknown_pod(uid)
    return entry


def _missing(site: Site, wanted: BlobsWanted) -> tuple[MissingBlob, ...]:
    found = site.cache.missing(
        [StoredBlob(blob.digest, blob.size) for blob in wanted.blobs],
        {blob.digest for blob in wanted.blobs if blob.is_public},
        wanted.image,
    )
    return tuple(
        MissingBlob(digest=each.digest, offset=each.offset, is_coming=each.is_coming)
        for each in found
    )


async def _receive(site: Site, digest: str, request: Request) -> Response:
    offset, length = (_header(request, f"Upload-{n}") for n in ("Offset", "Length"))
    # Checked as a path of ours would be: a digest and nothing else.
    blob = parse(
        lambda content: Blob(digest=content.decode(), size=length), digest.encode()
    )
    cache = site.cache
    if await asyncio.to_thread(cache.has, blob.digest):
        return Response(status_code=201, headers={"Upload-Offset": str(length)})
    incoming = cache.incoming(blob.digest, length)
    if incoming.offset == 0 and length:
        await asyncio.to_thread(cache.make_room, length)
    if offset != incoming.offset:
        raise OffsetError(blob.digest, offset, incoming.offset)
    buffer = bytearray()
    async for chunk in request.stream():
        buffer += chunk
        if len(buffer) >= _BLOCK:
            offset = await asyncio.to_thread(incoming.append, offset, bytes(buffer))
            buffer.clear()
    if buffer:
        offset = await asyncio.to_thread(incoming.append, offset, bytes(buffer))
    is_complete = await asyncio.to_thread(incoming.commit)
    return Response(
        status_code=201 if is_complete else 204,
        headers={"Upload-Offset": str(offset)},
    )


def _header(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ProblemError(
            400, "malformed-request", f"{name}: expected a number, got {text[:40]!r}"
        )
    return int(text)
