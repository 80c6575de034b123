"""Starts each person's agent when somebody asks for it, and keeps it running.

``python -m offload.jobs.launcher`` reads the settings that ``FACILITY_OFFLOAD`` names
and listens on a unix socket. Who asks is known to the kernel (unix(7), SO_PEERCRED), so
nobody can have another's agent started. A line ``wake`` is answered by one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys

from facility.errors import FacilityError
from offload.jobs.keeping import Keeper
from offload.jobs.people import people_of, person_of
from offload.jobs.settings import VARIABLE, Settings
from offload.jobs.unix_sockets import listening, peer

PATIENCE_S = 5.0
"""For so long somebody who has connected may be silent."""
LONGEST_LINE = 64

log = logging.getLogger("facility.agents")


class Launcher:
    """One agent per person."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keepers: dict[int, Keeper] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM; then no agent and no plugin of theirs is left."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        # Whoever had jobs when the machine went down need not ask again.
        for person in people_of(self._settings):
            if person.may_have_jobs(self._settings):
                self._wake(person.uid, is_asked=False)
        # With several users everybody may ask: the kernel says who it is.
        with listening(
            self._settings.launcher_socket, for_everybody=self._settings.multi_user
        ) as sock:
            server = await asyncio.start_unix_server(
                self._serve, sock=sock, limit=LONGEST_LINE
            )
            async with server:
                await self._stopping.wait()
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers.values()))

    def _wake(self, uid: int, *, is_asked: bool = True) -> None:
        keeper = self._keepers.get(uid)
        if keeper is None:
            keeper = Keeper(person_of(uid, self._settings), self._settings)
            self._keepers[uid] = keeper
        keeper.wake(is_asked=is_asked)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(PATIENCE_S):
                if await reader.readline() == b"wake\n":
                    writer.write(json.dumps(self._answer(writer)).encode() + b"\n")
                    await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _answer(self, writer: asyncio.StreamWriter) -> dict[str, str]:
        _, uid = peer(writer.get_extra_info("socket"))
        try:
            self._wake(uid)
        except FacilityError as error:
            log.warning("refused: %s", error)
            return {"error": str(error)}
        return {"agent": "awake"}


def main() -> int:
    """Serve until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = Settings.from_environment()
    if settings is None:
        sys.stderr.write(f"launcher: {VARIABLE} must name the settings file\n")
        return 2
    asyncio.run(Launcher(settings).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
