"""The facility's side of reaching a site: it logs in by SSH, as the person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh

from offload.link.errors import LinkRefusedError, PausedError
from offload.link.failures import FAILURES, explain
from offload.link.login import (
    FORBIDDEN,
    Login,
    explaining,
    resolving,
    starting,
    writing,
)
from offload.link.state import Paused, Reachable, State, delay_s
from offload.link.validity import Validity, of_certificate_file

KEEPALIVE_S = 15
KEEPALIVES = 3
CONNECT_S = 20
COMMAND_S = 30
START_S = 30.0
"""A plugin that does not listen by then has failed."""
POLL_S = 0.1
PROBE_S = 5.0
"""For so long it is believed that the plugin listens."""

_WAIT = timedelta(seconds=PROBE_S)


class SshLink:
    """One person's way to a login node: see :class:`offload.link.state.Link`.

    Host keys are always checked. The plugin is started if it does not run there; it
    outlives this connection.

    Args:
        login: the account, and the plugin there.
        socket: where the plugin shall be reached here; its folder must be private.
        clock: tells the time, with a time zone.
    """

    def __init__(
        self,
        login: Login,
        socket: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._login = login
        self._socket = socket
        self._clock = clock
        self._connection: asyncssh.SSHClientConnection | None = None
        self._remote = ""
        self._paused = Paused(f"{login.host} was not asked yet")
        self._state: State = self._paused
        self._failures = 0
        self._not_before = clock()
        self._probed = clock()
        self._seen: tuple[float, ...] = ()
        self._lock = asyncio.Lock()

    @property
    def state(self) -> State:
        return self._state

    async def open(self) -> Path:
        async with self._lock:
            try:
                await self._ensure()
            except (*FAILURES, _FailedError) as error:
                await self._disconnect()
                raise PausedError(self._failed(error)) from error
        return self._socket

    async def close(self) -> None:
        async with self._lock:
            await self._disconnect()

    async def _ensure(self) -> None:
        now = self._clock()
        connection = self._connection
        if connection is not None and not connection.is_closed():
            if now < self._probed + _WAIT:
                return
        else:
            # A renewed certificate or a host key just added is tried at once.
            is_early = now < self._not_before
            if is_early and self._seen == self._credential_times():
                raise PausedError(self._paused)
            connection = await self._connect()
        if not await _listens(connection, self._remote):
            await self._start(connection)
        self._failures = 0
        self._probed = self._clock()
        self._state = self._reachable()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        login = self._login
        await self._disconnect()
        self._seen = self._credential_times()
        identity = login.identity_file
        connection = await asyncssh.connect(
            login.host,
            () if login.port is None else login.port,
            username=() if login.user is None else login.user,
            client_keys=() if identity is None else [str(identity)],
            # Never what ~/.ssh/config may say of checking less.
            known_hosts=login.known_hosts_files,
            preferred_auth="publickey,gssapi-with-mic",
            password=None,
            connect_timeout=CONNECT_S,
            login_timeout=CONNECT_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
        )
        self._connection = connection
        if login.content is not None:
            await _run(connection, writing(login), login.content)
        self._remote = await _run(connection, resolving(login))
        self._socket.unlink(missing_ok=True)
        await connection.forward_local_path(str(self._socket), self._remote)
        self._socket.chmod(0o600)
        return connection

    async def _start(self, connection: asyncssh.SSHClientConnection) -> None:
        await _run(connection, starting(self._login))
        end = asyncio.get_running_loop().time() + START_S
        while not await _listens(connection, self._remote):
            if asyncio.get_running_loop().time() > end:
                raise _FailedError(await self._why_not(connection))
            await asyncio.sleep(POLL_S)

    async def _why_not(self, connection: asyncssh.SSHClientConnection) -> str:
        """Say why the plugin cannot be reached though it was started."""
        host, command = self._login.host, self._login.command
        said = await _run(connection, explaining(self._login))
        # sshd says the same of a socket that is not there and of one it may not open.
        if said == FORBIDDEN:
            return (
                f"the plugin runs on {host}, whose sshd forbids forwarding of unix "
                "sockets: it needs AllowStreamLocalForwarding (or let the site dial in)"
            )
        return (
            f"the plugin does not start on {host}: {said or 'it said nothing'} "
            f"(started with: {command})"
        )

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()
        self._socket.unlink(missing_ok=True)

    def _failed(self, error: Exception) -> Paused:
        now = self._clock()
        self._failures += 1
        reason = self._explain(error, now)
        self._not_before = now + timedelta(seconds=delay_s(self._failures))
        self._state = self._paused = Paused(reason, self._not_before)
        return self._paused

    def _explain(self, error: Exception, now: datetime) -> str:
        """Name the credential if it is why."""
        if isinstance(error, _FailedError):
            return str(error)
        if isinstance(error, asyncssh.PermissionDenied):
            for path, validity in self._certificates():
                if validity.end is not None and validity.has_ended(now):
                    return f"the certificate {path} ended {_told(validity.end)}"
                if validity.begin is not None and not validity.has_begun(now):
                    return f"the certificate {path} begins {_told(validity.begin)}"
        return explain(error, self._login.host)

    def _certificates(self) -> list[tuple[Path, Validity]]:
        found = []
        for path in self._login.certificates:
            with contextlib.suppress(LinkRefusedError):
                if (validity := of_certificate_file(path)) is not None:
                    found.append((path, validity))
        return found

    def _reachable(self) -> Reachable:
        """Say until when; with several certificates nobody knows which one counted."""
        certificates = self._certificates()
        if len(certificates) != 1:
            return Reachable()
        ((path, validity),) = certificates
        warning = ""
        if validity.ends_soon(self._clock()) and validity.end is not None:
            warning = (
                f"the certificate {path} for {self._login.host} ends "
                f"{_told(validity.end)}: get a new one before"
            )
        return Reachable(validity.end, warning)

    def _credential_times(self) -> tuple[float, ...]:
        """Return what changes when somebody renews what we log in with."""
        identity = self._login.identity_file
        paths = [*self._login.certificates, *([identity] if identity else [])]
        paths += map(Path, self._login.known_hosts_files)
        times = []
        for path in paths:
            with contextlib.suppress(OSError):
                times.append(path.stat().st_mtime)
        return tuple(times)


class _FailedError(Exception):
    """A command there failed; the text is for the person."""


def _told(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


async def _run(
    connection: asyncssh.SSHClientConnection, command: str, content: str = ""
) -> str:
    """Run a command of ours; return what it printed.

    Raises:
        _FailedError: it failed, or took too long.
    """
    try:
        # An empty text would leave its standard input open.
        fed = {"input": content} if content else {"stdin": asyncssh.DEVNULL}
        done = await connection.run(command, timeout=COMMAND_S, **fed)
    except asyncssh.ProcessError as error:  # also its timeout
        raise _FailedError(f"a command on the login node failed: {error}") from None
    out, err = str(done.stdout or ""), " ".join(str(done.stderr or "").split())
    if done.exit_status != 0:  # none at all if it was killed
        raise _FailedError(f"a command on the login node failed: {err[:200]}")
    return out.strip()


async def _listens(connection: asyncssh.SSHClientConnection, path: str) -> bool:
    """Whether somebody accepts connections at a unix socket there."""
    try:
        _, writer = await connection.open_unix_connection(path)
    except asyncssh.ChannelOpenError:
        return False
    writer.close()
    return True
