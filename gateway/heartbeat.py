"""What a scheduler says of itself, checked: its user may say anything.

The addresses in it become routes of the one proxy and targets of our own requests. A
wrong one would reach what is somebody else's, and one that is no text would keep the
proxy from every later route of everybody.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.peers import Address, uid_of_listener

_HOST = "127.0.0.1"


class Heartbeat(BaseModel):
    """The message of ``dask_gateway.scheduler_preload``."""

    model_config = ConfigDict(strict=True, frozen=True)

    count: Annotated[int, Field(ge=0, le=10**6)]
    active_workers: list[str]
    closing_workers: list[str]
    closed_workers: list[str]
    scheduler_address: Annotated[str, Field(pattern=r"^tls://127\.0\.0\.1:[0-9]{1,5}$")]
    dashboard_address: Annotated[
        str, Field(pattern=r"^(http://127\.0\.0\.1:[0-9]{1,5})?$")
    ]
    api_address: Annotated[str, Field(pattern=r"^http://127\.0\.0\.1:[0-9]{1,5}$")]

    @property
    def addresses(self) -> list[Address]:
        """Where it says that it listens."""
        urls = self.scheduler_address, self.dashboard_address, self.api_address
        return [(_HOST, int(url.rpartition(":")[2])) for url in urls if url]


def check(message: Any, *, uid: int, table: str) -> str | None:
    """Say in one line why the message cannot be a scheduler's of this user.

    Args:
        message: what was sent.
        uid: the user of its cluster.
        table: content of ``/proc/net/tcp``.
    """
    try:
        heartbeat = Heartbeat.model_validate(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"heartbeat: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    for address in heartbeat.addresses:
        if uid_of_listener(table, address) != uid:
            host, port = address
            return f"heartbeat: {host}:{port} is not a port of the cluster's user"
    return None
