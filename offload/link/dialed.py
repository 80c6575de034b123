"""A site that dials in, as the agent of one person sees it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from offload.link.admission import state_path
from offload.link.errors import PausedError
from offload.link.state import Paused, State, from_json


class DialedLink:
    """The socket that the endpoint makes: see :class:`offload.link.state.Link`."""

    def __init__(self, site: str, socket: Path) -> None:
        self._site = site
        self._socket = socket
        self._state: State = Paused(f"{site} was not looked for yet")

    @property
    def state(self) -> State:
        return self._state

    async def open(self) -> Path:
        self._state = self._told()
        if not isinstance(self._state, Paused):
            try:
                _, writer = await asyncio.open_unix_connection(self._socket)
            except OSError:  # killed: it could not say so
                self._state = Paused(
                    f"nobody listens for {self._site}: is the facility up?"
                )
            else:
                writer.close()
        if isinstance(self._state, Paused):
            raise PausedError(self._state)
        return self._socket

    async def close(self) -> None:
        """Nothing is ours: the endpoint holds the connection."""

    def _told(self) -> State:
        try:
            return from_json(json.loads(state_path(self._socket).read_text()))
        except FileNotFoundError:
            return Paused(f"nobody listens for {self._site}: is the facility up?")
        except (OSError, ValueError) as error:
            return Paused(f"the state of {self._site} cannot be read: {error}")
