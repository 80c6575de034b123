"""Where sites dial in: an SSH server that offers one thing and refuses all others.

A site that proves to hold one of its keys may ask that one unix socket be forwarded to
it (``streamlocal-forward@openssh.com``; OpenSSH, PROTOCOL, section 2.4). The path that
it names is only a name: the socket appears where its person's agent looks. No shell, no
command, no file transfer, no TCP, no agent, nothing in the other direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncssh

from offload.link.admission import (
    AdmittedKey,
    EndpointSettings,
    Way,
    admitted,
    state_path,
)
from offload.link.state import Paused, State

KEEPALIVE_S = 15
KEEPALIVES = 3
"""So many unanswered ones mean that the site is gone."""
LOGIN_S = 30
STRANGERS = 32
"""Connections at once that have not said who they are; more are cut."""
CHECK_S = 60.0
"""Between two looks at the end of each key's time."""

log = logging.getLogger("offload.link")


class Endpoint:
    """The server, and what is known of each way."""

    def __init__(
        self,
        settings: EndpointSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._connections: dict[Way, tuple[AdmittedKey, _Connection]] = {}
        self._strangers: set[_Connection] = set()
        self._silent: dict[Way, _Connection] = {}
        """Who is known, and has not asked for his socket."""
        self._told: dict[Way, State] = {}
        self._server: asyncssh.SSHAcceptor | None = None

    async def start(self) -> int:
        """Listen; return the port.

        Raises:
            OSError: the address cannot be had.
        """
        settings = self.settings
        prepare(settings)
        now = self._clock()
        for way in settings.ways:
            settings.socket(way).unlink(missing_ok=True)
            absent = Paused(f"{way.site} has not dialed in yet")
            self._tell(way, self._ended(way, now) or absent)
        self._server = await asyncssh.listen(
            settings.bind,
            settings.port,
            reuse_address=True,
            server_factory=lambda: _Connection(self),
            server_host_keys=[str(settings.host_key)],
            # Nothing of the account's own configuration may widen what is offered.
            config=[],
            authorized_client_keys=None,
            x509_trusted_certs=None,
            gss_host=None,
            host_based_auth=False,
            kbdint_auth=False,
            password_auth=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            login_timeout=LOGIN_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
        )
        return self._server.get_port()

    async def serve(self) -> None:
        """Close connections whose key's time is over, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            self.check()

    def check(self) -> None:
        """Look at the end of each key's time now."""
        now = self._clock()
        for way in self.settings.ways:
            if way not in self._connections:
                if (ended := self._ended(way, now)) is not None:
                    self._tell(way, ended)
                continue
            key, connection = self._connections[way]
            state = key.state(now)
            self._tell(way, state)
            if isinstance(state, Paused):
                connection.end(state.reason)

    async def close(self) -> None:
        """Stop listening, end every connection, and say so."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        connected = [connection for _, connection in self._connections.values()]
        for connection in [*connected, *self._silent.values()]:
            connection.end("the facility stops")
        self._connections.clear()
        for way in self.settings.ways:
            self.settings.socket(way).unlink(missing_ok=True)
            self._tell(way, Paused("the facility is down"))

    # what connections report

    def meet(self, connection: _Connection) -> bool:
        """Count somebody who has not said who he is; ``False`` if there are too many."""
        if len(self._strangers) >= STRANGERS:
            return False
        self._strangers.add(connection)
        return True

    def know(self, connection: _Connection) -> None:
        """He has said who he is, or is gone."""
        self._strangers.discard(connection)

    def admit(self, key: AdmittedKey, connection: _Connection) -> None:
        """He has a key. Of those who then ask for nothing, the last one is kept."""
        former = self._silent.get(key.way)
        self._silent[key.way] = connection
        if former is not None:
            former.end(f"{key.site} has dialed in again")

    def unsilence(self, key: AdmittedKey, connection: _Connection) -> None:
        """He has asked for his socket, or is gone."""
        if self._silent.get(key.way) is connection:
            del self._silent[key.way]

    def entry(self, site: str, key: str) -> AdmittedKey | None:
        """Return by which entry a site gets in."""
        return admitted(self.settings.keys, site, key, self._clock())

    def opened(self, key: AdmittedKey, connection: _Connection) -> None:
        """The socket of a way leads to this connection from now on."""
        former = self._connections.get(key.way)
        self._connections[key.way] = (key, connection)
        if former is not None and former[1] is not connection:
            former[1].end(f"{key.site} has dialed in again")
        self._tell(key.way, key.state(self._clock()))

    def lost(self, key: AdmittedKey, connection: _Connection, why: str) -> None:
        """A connection has ended; nothing changes if another one took its place."""
        if self._connections.get(key.way, (None, None))[1] is not connection:
            return
        del self._connections[key.way]
        ended = self._ended(key.way, self._clock())
        lost = Paused(f"{key.site} dialed in, but its connection ended: {why}")
        self._tell(key.way, ended or lost)

    def _ended(self, way: Way, now: datetime) -> Paused | None:
        """Say that no key of a way is accepted any more; ``None`` if one is."""
        states = [k.state(now) for k in self.settings.keys if k.way == way]
        ended = [state for state in states if isinstance(state, Paused)]
        return ended[-1] if len(ended) == len(states) else None

    def _tell(self, way: Way, state: State) -> None:
        """Write what the person's agent reads, if it is news."""
        if self._told.get(way) == state:
            return
        log.info("%s: %s", way, state)
        self._told[way] = state
        path = state_path(self.settings.socket(way))
        draft = path.with_name(f".{path.name}")
        draft.unlink(missing_ok=True)
        draft.touch(0o600)
        draft.write_text(json.dumps(state.to_json()))
        self.give(draft, way)
        draft.replace(path)

    def give(self, path: Path, way: Way) -> None:
        """Make somebody the owner of his socket or file; its folder stays ours."""
        if self.settings.multi_user:
            account = pwd.getpwnam(way.person)
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def prepare(settings: EndpointSettings) -> None:
    """Make the folders of the sockets: who may not write there cannot replace them."""
    mode = 0o711 if settings.multi_user else 0o700
    settings.directory.mkdir(parents=True, exist_ok=True)
    settings.directory.chmod(mode)
    for person in {key.person for key in settings.keys}:
        folder = settings.directory / person
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)


class _Connection(asyncssh.SSHServer):
    """One site that dials in. What is not overridden here is refused by the base."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._key: AdmittedKey | None = None
        self._connection: asyncssh.SSHServerConnection | None = None
        self._inode: int | None = None
        self._has_asked = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        if not self._endpoint.meet(self):
            conn.abort()

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - a stranger must not learn which names there are
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        # Asked for a key that is offered, too; only the one that signs gets in, and it
        # is the one asked for last.
        offered = key.export_public_key("openssh").decode()
        self._key = self._endpoint.entry(username, offered)
        return self._key is not None

    def auth_completed(self) -> None:
        self._endpoint.know(self)
        if self._key is not None:
            self._endpoint.admit(self._key, self)

    async def unix_server_requested(
        self, listen_path: str
    ) -> asyncssh.SSHListener | bool:
        if self._key is None or self._connection is None or self._has_asked:
            return False
        self._has_asked = True
        self._endpoint.unsilence(self._key, self)
        final = self._endpoint.settings.socket(self._key.way)
        # Bound beside and renamed: an agent finds the old socket or the new one.
        draft = final.with_name(f".{final.name}")
        draft.unlink(missing_ok=True)
        listener = await self._connection.forward_local_path(str(draft), listen_path)
        draft.chmod(0o600)
        self._endpoint.give(draft, self._key.way)
        self._inode = draft.stat().st_ino
        draft.replace(final)
        self._endpoint.opened(self._key, self)
        return listener

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.know(self)
        if self._key is None:
            return
        self._endpoint.unsilence(self._key, self)
        if self._inode is None:
            return
        socket = self._endpoint.settings.socket(self._key.way)
        with contextlib.suppress(FileNotFoundError):
            if socket.stat().st_ino == self._inode:
                socket.unlink()
        why = str(exc) if exc is not None else "it closed it"
        self._endpoint.lost(self._key, self, why)

    def end(self, why: str) -> None:
        """Close the connection; the site reads why."""
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, why)
