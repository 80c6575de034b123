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


def uid_of_client(table: str, host: str, port: int) -> int | None:
    """Return the user of the IPv4 socket bound to this address; ``None`` if unknown.

    Args:
        table: content of ``/proc/net/tcp``.
        host: its address in dotted form.
        port: its port.
    """
    (number,) = struct.unpack("=I", socket.inet_aton(host))
    wanted = f"{number:08X}:{port:04X}"
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted:
            return int(fields[7])
    return None


def admit_own_users_only(http_server: Any) -> None:
    """Close connections to this tornado server that any other user opens."""
    allowed = {os.getuid(), int(os.environ[PROXY_UID])}
    handle = http_server.handle_stream

    def handle_stream(stream: Any, address: tuple[str, int]) -> Any:
        uid = uid_of_client(TABLE.read_text(), *address[:2])
        if uid not in allowed:
            logger.warning("Refused a connection of uid %s to the dashboard", uid)
            stream.close()
            return None
        return handle(stream, address)

    http_server.handle_stream = handle_stream
