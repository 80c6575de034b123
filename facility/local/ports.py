"""TCP ports of a facility: the same after every restart, unless somebody took them."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import psutil
from pydantic import ValidationError

from facility.errors import UsageError
from facility.local.files import replace_file
from facility.runtime import Ports

FIRST, LAST = 20000, 31999
"""Where free ports are sought: below the range from which the kernel takes ports for
outgoing connections (32768 and up), so that none is lost while a process restarts."""

RESERVED = range(640, 980)
"""Where root seeks them: nobody else can listen there. Otherwise who takes the hub's
port while it restarts is sent everybody's cookies and passwords. Browsers refuse some
ports below and above."""

Probe = Callable[[str, int], int]
"""Tries to listen: 0, or the error number (see :func:`probe`)."""


def probe(address: str, port: int) -> int:
    """Return 0 if a server could listen there now, else the number of the error."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        # Servers set it too: a port in TIME_WAIT counts as free, one in use does not.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((address, port))
        except OSError as error:
            # Names that cannot be resolved have numbers of their own, below 0.
            return error.errno or errno.EADDRNOTAVAIL
        return 0


def choose_ports(
    identity: str,
    bind: str,
    fixed_hub: int,
    kept: Ports | None,
    probe: Probe = probe,
    *,
    reserved: bool = False,
) -> Ports:
    """Return six different free ports; those of ``kept`` that are free stay.

    ``reserved`` ones, for root, are all where only root can listen.

    New ones are sought from a place that depends on ``identity`` alone, so that
    facilities of different directories rarely meet.

    Raises:
        UsageError: ``bind`` is not ours, ``fixed_hub`` (``hub.port``; 0 for any) cannot
            be had, or no port is free.
    """
    _check_bind(bind, fixed_hub, probe)
    digest = hashlib.sha256(identity.encode()).digest()
    span = RESERVED if reserved else range(FIRST, LAST + 1)
    offset = int.from_bytes(digest[:8]) % len(span)
    candidates = (span[(offset + step) % len(span)] for step in range(len(span)))
    taken = {fixed_hub}
    chosen: dict[str, int] = {}
    for name in Ports.model_fields:
        if name == "hub" and fixed_hub:
            chosen[name] = fixed_hub
            continue
        address = bind if name == "hub" else "127.0.0.1"
        before = [] if kept is None else [getattr(kept, name)]
        if reserved:
            before = [port for port in before if port in RESERVED]
        port = _first_free(address, chain(before, candidates), taken, probe)
        if port is None:
            raise UsageError(
                f"no free TCP port between {span[0]} and {span[-1]} on {address}"
            )
        chosen[name] = port
        taken.add(chosen[name])
    return Ports(**chosen)


def _check_bind(bind: str, fixed_hub: int, probe: Probe) -> None:
    """Raise if the address or the port that a person chose cannot be had."""
    match probe(bind, fixed_hub):
        case 0:
            return
        case errno.EADDRINUSE:
            raise UsageError(
                f"hub.port: {bind}:{fixed_hub} is in use by {holder(fixed_hub)}: stop "
                "it, choose another port, or set 0 for a free one"
            )
        case errno.EACCES:
            raise UsageError(
                f"hub.port: {fixed_hub} is for root only: choose one above 1023, or "
                "set 0 for a free one"
            )
        case other:
            why = os.strerror(other) if other > 0 else "unknown name"
            raise UsageError(
                f"hub.bind: {bind!r} is no address of this machine ({why}): "
                "`ip address` lists them"
            )


def _first_free(
    address: str,
    candidates: Iterable[int],
    taken: set[int],
    probe: Probe,
) -> int | None:
    for port in candidates:
        if port not in taken and probe(address, port) == 0:
            return port
    return None


def holder(port: int) -> str:
    """Say who listens on a port, as far as we may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port != port:
            continue
        if connection.pid is None:
            break
        try:
            command = " ".join(psutil.Process(connection.pid).cmdline()[:4])
        except psutil.Error:
            break
        return f"process {connection.pid} ({command})"
    return "another user's process"


def load_ports(path: Path) -> Ports | None:
    """Return the ports of the last time; ``None`` if there was none."""
    try:
        return Ports.model_validate_json(path.read_text())
    except (FileNotFoundError, ValidationError):
        return None


def save_ports(path: Path, ports: Ports) -> None:
    """Keep them for the next start."""
    replace_file(path, ports.model_dump_json())
