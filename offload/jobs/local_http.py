"""Requests to services of this machine on unix sockets, without an HTTP library.

A command shall answer at once; importing a client takes longer than asking.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offload.jobs.unix_sockets import connect


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._patience_s = timeout_s

    def connect(self) -> None:
        self.sock = connect(self._path, self._patience_s)


def ask(
    path: Path, method: str, url: str, *, timeout_s: float = 10.0
) -> tuple[int, bytes]:
    """Send one request; return the status and the body.

    Raises:
        OSError: nobody listens, or the answer does not come.
    """
    with stream(path, method, url, timeout_s=timeout_s) as (status, chunks):
        return status, b"".join(chunks)


@contextmanager
def stream(
    path: Path, method: str, url: str, *, timeout_s: float = 10.0
) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Send one request; give the status, and the body as it comes.

    Args:
        path: The socket.
        method: Of HTTP.
        url: Path and query.
        timeout_s: For each silence of the other side.

    Raises:
        OSError: nobody listens, or the answer does not come.
    """
    connection = _Connection(path, timeout_s)
    try:
        try:
            connection.request(method, url)
            response = connection.getresponse()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{path}: {error}") from error
        yield response.status, iter(lambda: response.read1(65536), b"")
    finally:
        connection.close()
