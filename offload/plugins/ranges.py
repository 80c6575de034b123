"""Byte ranges of files (RFC 9110, section 14), for downloads that go on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from offload.plugins.node.folder import open_regular

_BLOCK = 1 << 20
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")


def range_response(
    request: Request, path: Path, *, etag: str | None = None
) -> Response:
    """Return a file, or the part of it that ``Range`` asks for.

    The length is that of now: a file that grows meanwhile is cut there. A range of
    another version (``If-Range``) is answered with the whole file.
    """
    # Of a link that a job has put there, the length is not told either.
    size = path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    headers = {"Accept-Ranges": "bytes"}
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    condition = request.headers.get("If-Range")
    if wanted is None or (condition is not None and condition != headers.get("ETag")):
        return _stream(path, 0, size, 200, headers)
    start = int(wanted[1])
    end = min(size, int(wanted[2]) + 1) if wanted[2] else size
    if start >= size or end <= start:
        return Response(
            status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"}
        )
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return _stream(path, start, end, 206, headers)


def _stream(
    path: Path, start: int, end: int, status: int, headers: Mapping[str, str]
) -> Response:
    return StreamingResponse(
        _blocks(path, start, end),
        status_code=status,
        headers={**headers, "Content-Length": str(end - start)},
        media_type="application/octet-stream",
    )


async def _blocks(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    if start >= end:
        return
    file = await asyncio.to_thread(open_regular, path)
    with file:
        file.seek(start)
        while start < end:
            block = await asyncio.to_thread(file.read, min(_BLOCK, end - start))
            if not block:
                return
            start += len(block)
            yield block
