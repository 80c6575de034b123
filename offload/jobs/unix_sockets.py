"""Sockets of services of this machine: made, reached, and who is at the other end."""

from __future__ import annotations

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


@contextmanager
def listening(path: Path, *, for_everybody: bool = False) -> Iterator[socket.socket]:
    """Listen on a new socket; its name is gone afterwards.

    Only its owner may connect (mode 0600), or everybody.
    """
    # Renamed once it listens: who sees the name can connect.
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        mask = os.umask(0o111 if for_everybody else 0o177)
        try:
            with connectable(draft) as name:
                listening.bind(name)
        finally:
            os.umask(mask)
        listening.listen(64)
        draft.replace(path)
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of who is at the other end, or called listen(2) there.

    Source: unix(7), ``SO_PEERCRED``.
    """
    credentials = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid


def listener(path: Path, *, uid: int) -> ProcessIdentity | None:
    """Return the user's process that listens on a socket; ``None`` if none does."""
    try:
        with connect(path, timeout_s=5.0) as connection:
            pid, owner = peer(connection)
    except OSError:
        return None
    process = identify(pid)
    # Who listened may have left the socket to another, and its number is taken by
    # somebody whom we must not signal; or it runs a program of root's by now.
    return process if uid == owner == _owner_of(pid) else None


def _owner_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None
