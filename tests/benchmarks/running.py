"""What both sides have in common once they run: where they are and who we are."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

POLL_S = 0.02
TIMEOUT_S = 120.0


class DidNotStartError(RuntimeError):
    """A side did not come up; the line says which, and its last log lines."""


@dataclass(frozen=True, slots=True)
class Running:
    """A facility that answers, and a token of one of its users."""

    url: str
    """Where people go, without a trailing slash."""
    user: str
    token: str
    gateway_tls: str
    """Address of the schedulers' proxy (``gateway://``)."""
    client_environment: dict[str, str] = field(default_factory=dict)
    """What a notebook server has in its environment to use the gateway."""


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def wait_until_answers(url: str, is_alive: Callable[[], bool]) -> None:
    """Return as soon as ``GET url`` answers 200.

    Raises:
        DidNotStartError: it does not within 120 s, or ``is_alive`` turns false.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            if not is_alive():
                break
            time.sleep(POLL_S)
    raise DidNotStartError(f"{url} does not answer")


def spawn_seconds(running: Running) -> float:
    """Return the time from POST of a server until the hub calls it ready."""
    headers = {"Authorization": f"token {running.token}"}
    path = f"{running.url}/hub/api/users/{running.user}"
    with httpx.Client(headers=headers, timeout=TIMEOUT_S) as client:
        start = time.monotonic()
        client.post(f"{path}/server").raise_for_status()
        while time.monotonic() < start + TIMEOUT_S:
            servers = client.get(path).raise_for_status().json()["servers"]
            if servers.get("", {}).get("ready"):
                return time.monotonic() - start
            time.sleep(POLL_S)
    raise DidNotStartError(f"the server of {running.user} is not ready")
