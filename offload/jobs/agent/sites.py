"""The sites as the agent reaches them: connected when needed, paused while away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from offload.interlink import (
    InterlinkError,
    MalformedAnswerError,
    PluginClient,
    SystemInfo,
    UnsupportedError,
)
from offload.jobs.agent.local_plugin import LocalPlugin
from offload.jobs.ledger import Ledger
from offload.jobs.placement import Candidate, SiteInfo
from offload.jobs.settings import Settings
from offload.jobs.site_reports import SiteReport
from offload.jobs.unix_sockets import connectable
from offload.link import Link, Paused, PausedError
from offload.link.state import delay_s
from offload.link.ways import link_for

READY = "ready"
PAUSED = "paused"
BELIEVED_S = 5.0
"""For so long a way that was open is believed to be."""

log = logging.getLogger("facility.agent")


class Site:
    """One site: hands out a client while it can be reached.

    Args:
        name: Of the site.
        link: The way there.
        ledger: Where its state is recorded, for people.
        on_back: Called when it can be reached again.
    """

    def __init__(
        self, name: str, link: Link, ledger: Ledger, on_back: Callable[[str], None]
    ) -> None:
        self.name = name
        self.known: set[str] = set()
        """Digests of blobs that it has, as far as we know."""
        self.is_ours = True
        """Whether the plugin has the extensions of ours; one that is not has 404."""
        self.info: SystemInfo | None = None
        self.paused: Paused | None = None
        self._link = link
        self._ledger = ledger
        self._on_back = on_back
        self._client: PluginClient | None = None
        self._exits = contextlib.ExitStack()
        self._failures = 0
        self._looked = 0.0
        self._lock = asyncio.Lock()
        self._retry: asyncio.Task[None] | None = None

    @property
    def repository(self) -> str:
        """Name of the repository that it reads environments from; empty if none."""
        return "" if self.info is None else self.info.repository

    @property
    def is_remote(self) -> bool:
        return not isinstance(self._link, LocalPlugin)

    @property
    def connected(self) -> PluginClient | None:
        """The client that is handed out now, if there is one."""
        return self._client

    async def client(self) -> PluginClient:
        """Return a client of the plugin; the same as long as it answers.

        Raises:
            PausedError: it cannot be reached now: says why, and until when.
        """
        if (client := self._believed()) is not None:
            return client
        async with self._lock:
            return self._believed() or await self._connect()

    def _believed(self) -> PluginClient | None:
        is_fresh = time.monotonic() < self._looked + BELIEVED_S
        return self._client if is_fresh else None

    async def _connect(self) -> PluginClient:
        try:
            path = await self._link.open()
            if self._client is not None:  # the way is still there
                self._looked = time.monotonic()
                return self._client
            name = self._exits.enter_context(connectable(path))
            client = PluginClient(f"unix://{name}")
            self.info, self.is_ours = await _ask(client)
        except PausedError as error:
            await self._pause(error.paused)
            raise
        except (InterlinkError, OSError) as error:
            self._failures += 1
            until = datetime.now(UTC) + timedelta(seconds=delay_s(self._failures))
            paused = Paused(f"the plugin does not answer: {error}", until)
            await self._pause(paused)
            raise PausedError(paused) from error
        was_away = self.paused is not None
        self._client, self.paused, self._failures = client, None, 0
        self._looked = time.monotonic()
        await self._record(READY, str(self._link.state), _until(self._link))
        if was_away:
            log.info("site %s is back", self.name)
            self._on_back(self.name)
        return client

    async def lost(self, client: PluginClient | None, error: Exception) -> None:
        """Take note that the plugin stopped answering this client; it is connected anew.

        Nothing happens if another one has taken its place.
        """
        if client is None or client is not self._client:
            return
        log.info("site %s: %s", self.name, error)
        self._client = None
        self.known.clear()
        self._try_again(0.05)
        # It may be back before this has returned: nothing of that is touched then.
        with self._exits.pop_all():
            await client.close()

    async def check(self) -> None:
        """Look now whether it can be reached, and record that."""
        client = self._client
        if client is not None:
            try:
                self.info, self.is_ours = await _ask(client)
            except InterlinkError as error:
                await self.lost(client, error)
            else:
                await self._record(READY, str(self._link.state), _until(self._link))
                return
        with contextlib.suppress(PausedError):
            await self.client()

    async def _pause(self, paused: Paused) -> None:
        client, self._client = self._client, None
        if client is not None:  # its way has ended, such as with a credential
            await client.close()
        self._exits.close()
        is_news = self.paused is None or self.paused.reason != paused.reason
        self.paused = paused
        if is_news:
            log.info("site %s is paused: %s", self.name, paused)
        until = None if paused.until is None else paused.until.timestamp()
        await self._record(PAUSED, paused.reason, until)
        self._failures = max(self._failures, 1)
        wait_s = delay_s(self._failures)
        if paused.until is not None:
            left = (paused.until - datetime.now(UTC)).total_seconds()
            wait_s = max(0.05, min(left, 60.0))
        self._try_again(wait_s)

    def _try_again(self, delay: float) -> None:
        waiting = self._retry
        # Called by itself, it ends now and its successor waits.
        is_it = waiting is asyncio.current_task()
        if waiting is not None and not waiting.done() and not is_it:
            return

        async def again() -> None:
            await asyncio.sleep(delay)
            with contextlib.suppress(PausedError):
                await self.client()

        self.paused = self.paused or Paused("it stopped answering")
        self._retry = asyncio.create_task(again())

    async def _record(self, state: str, detail: str, until: float | None) -> None:
        info = None if self.info is None else self.info.model_dump_json()
        report = SiteReport(self.name, state, detail, until, info)
        await asyncio.to_thread(self._ledger.sites.record, report)

    async def close(self, *, end_plugin: bool) -> None:
        """Let go of it; the plugin of a site on this machine ends on request."""
        if self._retry is not None:
            self._retry.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._retry
        if self._client is not None:
            await self._client.close()
            self._client = None
        self._exits.close()
        if self.is_remote or end_plugin:
            await self._link.close()

    def candidate(self, load: int) -> Candidate:
        """Return it as placement sees it."""
        info = None
        if self.info is not None:
            info = SiteInfo.from_json(self.info.model_dump_json())
        pause = "" if self.paused is None else str(self.paused)
        return Candidate(self.name, info, load, pause)


async def _ask(client: PluginClient) -> tuple[SystemInfo, bool]:
    """Return what the site is, and whether its plugin is one of ours."""
    try:
        info = await client.system_info()
    except (UnsupportedError, MalformedAnswerError):
        # Another's plugin: the call is optional there.
        await client.ping()
        return SystemInfo(version=""), False
    try:
        await client.missing_blobs(())
    except UnsupportedError:
        return info, False
    return info, True


def _until(link: Link) -> float | None:
    until = link.state.until
    return None if until is None else until.timestamp()


def person() -> str:
    """Return our login name, by our uid."""
    return pwd.getpwuid(os.geteuid()).pw_name


def sites_of(
    settings: Settings, ledger: Ledger, on_back: Callable[[str], None]
) -> dict[str, Site]:
    """Return every site of the facility; none is connected yet."""
    found = {}
    for site in settings.sites:
        folder = settings.sites_dir / site.name
        link: Link
        if site.is_remote:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            link = link_for(
                site, person=person(), folder=folder, dialed=settings.dialed_dir
            )
        else:
            link = LocalPlugin(site, folder)
        found[site.name] = Site(site.name, link, ledger, on_back)
    return found
