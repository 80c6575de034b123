"""Requests to services of this machine on unix sockets, without an HTTP library.

A command shall answer at once; importing a client takes longer than asking.
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facility.process import ProcessIdentity, identify

_LONGEST_PATH = 100


@contextmanager
def connectable(path: Path) -> Iterator[str]:
    """Give a name of the socket that fits a socket address, however long its path is.

    Source: unix(7), ``sun_path`` has 108 bytes.

    Raises:
        OSError: its folder does not exist.
    """
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Connect to a unix socket.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with connectable(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


def listener(path: Path, *, uid: int) -> ProcessIdentity | None:
    """Return the user's process that listens on a socket; ``None`` if none does.

    Source: unix(7), ``SO_PEERCRED`` gives who called listen(2).
    """
    try:
        with connect(path, timeout_s=5.0) as connection:
            credentials = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
    except OSError:
        return None
    pid, owner, _ = struct.unpack("3i", credentials)
    process = identify(pid)
    # Who listened may have left the socket to another, and its number is taken by
    # somebody whom we must not signal; or it runs a program of root's by now.
    return process if uid == owner == _owner_of(pid) else None


def _owner_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


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
