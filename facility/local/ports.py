"""TCP ports of a facility: the same after every restart, unless somebody took them."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
from pydantic import ValidationError

from facility.errors import UsageError
from facility.local.files import replace_file
from facility.local.runtime import Ports

FIRST, LAST = 20000, 31999
"""Where free ports are sought: below the range from which the kernel takes ports for
outgoing connections (32768 and up), so that none is lost while a process restarts."""

IsFree = Callable[[str, int], bool]


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Servers set it too: a port in TIME_WAIT counts as free, one in use does not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def choose_ports(
    identity: str,
    bind: str,
    fixed_hub: int,
    kept: Ports | None,
    is_free: IsFree = is_free,
) -> Ports:
    """Return six different free ports; those of ``kept`` that are free stay.

    New ones are sought from a place that depends on ``identity`` alone, so that
    facilities of different directories rarely meet.

    Raises:
        UsageError: ``fixed_hub`` (``hub.port``; 0 for any) is in use, or none is free.
    """
    if fixed_hub and not is_free(bind, fixed_hub):
        raise UsageError(
            f"hub.port: {bind}:{fixed_hub} is in use by {holder(fixed_hub)}: stop it, "
            "choose another port, or set 0 for a free one"
        )
    digest = hashlib.sha256(identity.encode()).digest()
    offset = int.from_bytes(digest[:8]) % (LAST - FIRST + 1)
    candidates = (
        FIRST + (offset + step) % (LAST - FIRST + 1) for step in range(LAST - FIRST + 1)
    )
    taken = {fixed_hub}
    chosen: dict[str, int] = {}
    for name in Ports.model_fields:
        address = bind if name == "hub" else "127.0.0.1"
        if name == "hub" and fixed_hub:
            chosen[name] = fixed_hub
            continue
        before = [] if kept is None else [getattr(kept, name)]
        chosen[name] = _first_free(address, before, candidates, taken, is_free)
        taken.add(chosen[name])
    return Ports(**chosen)


def _first_free(
    address: str,
    before: Iterable[int],
    candidates: Iterable[int],
    taken: set[int],
    is_free: IsFree,
) -> int:
    for source in (before, candidates):
        for port in source:
            if port not in taken and is_free(address, port):
                return port
    raise UsageError(f"no free TCP port between {FIRST} and {LAST} on {address}")


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
