"""Who is at the other end of a loopback connection, and who may be.

Dask's dashboards ask for no password. On a machine with several users that would let
everybody watch everybody's cluster, so connections are taken from two users only: the
cluster's own, and the one that runs dask-gateway's proxy. The kernel knows which user
opened a loopback connection (proc(5), ``/proc/net/tcp``).
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from pathlib import Path
from typing import Any

PROXY_UID = "FACILITY_PROXY_UID"
"""Environment variable with the uid that dask-gateway's proxy runs as."""

TABLE = Path("/proc/net/tcp")

logger = logging.getLogger("distributed.http")


Address = tuple[str, int]
"""IPv4 host in dotted form, and port."""

_ESTABLISHED = "01"
_LISTENS = "0A"
_ANYBODY = ("0.0.0.0", 0)  # noqa: S104 - nothing is bound to it


def uid_of_client(table: str, client: Address, server: Address) -> int | None:
    """Return the user at the client's end of a connection; ``None`` if unknown.

    Both ends and the state must fit: a closed socket of somebody else may have the
    same local address, and is listed as root's.

    Args:
        table: content of ``/proc/net/tcp``.
        client: its address.
        server: ours, as the client sees it.
    """
    return _uid(table, client, server, _ESTABLISHED)


def uid_of_listener(table: str, server: Address) -> int | None:
    """Return the user of the socket that listens there; ``None`` if none does."""
    return _uid(table, server, _ANYBODY, _LISTENS)


def _uid(table: str, local: Address, remote: Address, state: str) -> int | None:
    wanted = [_written(local), _written(remote), state]
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            return int(fields[7])
    return None


def _written(address: Address) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


def admit_own_users_only(http_server: Any) -> None:
    """Close connections to this tornado server that any other user opens."""
    allowed = {os.getuid(), int(os.environ[PROXY_UID])}
    handle = http_server.handle_stream

    def handle_stream(stream: Any, address: tuple[str, int]) -> Any:
        server = stream.socket.getsockname()
        uid = uid_of_client(TABLE.read_text(), address[:2], server[:2])
        if uid not in allowed:
            logger.warning("Refused a connection of uid %s to the dashboard", uid)
            stream.close()
            return None
        return handle(stream, address)

    http_server.handle_stream = handle_stream
