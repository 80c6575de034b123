"""Serves a repository's files over HTTP, as squids and CVMFS clients expect them.

Objects never change, so whoever has one keeps it; what begins with ``.cvmfs`` is asked
for again after a second. Nothing else of the folder can be reached.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

from fastapi import Request, Response
from starlette.responses import FileResponse

OBJECT = re.compile(r"data/[0-9a-f]{2}/[0-9a-f]{38}[PCHX]?")
CONTROL = re.compile(r"\.cvmfs[a-z_.]{1,40}")
FOREVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=1, must-revalidate"
NEVER = "no-store"
_TYPE = "application/octet-stream"
_EMPTY = {".cvmfs_last_snapshot", ".cvmfs_is_snapshotting"}
"""Clients ask for them, and ask slowly again where they are not."""
_LARGEST_CONTROL = 1 << 20


class _ObjectResponse(FileResponse):
    chunk_size = 1 << 20


def not_found() -> Response:
    """Return the answer to a wrong path: a proxy must not keep it."""
    return Response(status_code=404, headers={"Cache-Control": NEVER})


async def serve(request: Request, public: Path, path: str) -> Response:
    """Answer a GET or HEAD for a path below the repository's URL.

    Args:
        request: for ranges and conditions.
        public: folder with what may be served.
        path: what is asked for.
    """
    if OBJECT.fullmatch(path):
        return await _object(request, public / path)
    if CONTROL.fullmatch(path) and ".." not in path:
        return await asyncio.to_thread(_control, request, public / path)
    return not_found()


async def _object(request: Request, path: Path) -> Response:
    name = f'"{path.parent.name}{path.name}"'
    headers = {"Cache-Control": FOREVER, "ETag": name}
    try:
        status = await asyncio.to_thread(path.stat)
    except OSError:
        return not_found()
    if name in _conditions(request):
        return Response(status_code=304, headers=headers)
    return _ObjectResponse(path, headers=headers, media_type=_TYPE, stat_result=status)


def _control(request: Request, path: Path) -> Response:
    # Read whole: it may be replaced while it is sent, and then its length is another.
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_CONTROL)
    except OSError:
        if path.name not in _EMPTY:
            return not_found()
        data = b""
    # No Last-Modified: two revisions may be of the same second.
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"Cache-Control": SHORTLY, "ETag": etag}
    if etag in _conditions(request):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=_TYPE)


def _conditions(request: Request) -> list[str]:
    told = request.headers.get("If-None-Match", "")
    return [tag.strip().removeprefix("W/") for tag in told.split(",")]
