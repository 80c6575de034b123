"""What programs ask about jobs: answered from the ledger, with or without an agent."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator

from facility.text import counted, reason
from offload.jobs.errors import FacilityAwayError, JobsError, NoSuchJobError
from offload.jobs.ledger import Ledger
from offload.jobs.local_http import ask, stream
from offload.jobs.model import ElementName, Job
from offload.jobs.settings import Settings
from offload.jobs.site_reports import SiteReport
from offload.jobs.wake import wake

SHORTEST_LOOK_S = 0.01
LONGEST_LOOK_S = 0.2
LONGEST_ALONE_S = 5.0
"""Who follows a log waits so long for an agent that was killed to be there again."""


def opened(settings: Settings) -> contextlib.closing[Ledger]:
    """Give the person's ledger, for a ``with`` statement."""
    return contextlib.closing(Ledger(settings.ledger))


def jobs(settings: Settings, *, limit: int | None = None) -> list[Job]:
    """Return the person's jobs, newest first."""
    with opened(settings) as ledger:
        return ledger.jobs(limit=limit)


def job(settings: Settings, name: str, *, with_elements: bool = False) -> Job:
    """Return one job by its id.

    Raises:
        NoSuchJobError: there is none, or it has no element of that index.
    """
    wanted = ElementName.parse(name)
    with opened(settings) as ledger:
        found = ledger.job(wanted.job, with_elements=with_elements)
    if wanted.index is not None and wanted.index >= found.spec.count:
        raise NoSuchJobError(
            f"job {name}: {wanted.job} has {counted(found.spec.count, 'element')}, "
            "counted from 0"
        )
    return found


def changes(
    settings: Settings, name: str, *, timeout_s: float | None = None
) -> Iterator[Job]:
    """Yield the job now and whenever it has changed, until it is done.

    Ends after ``timeout_s``, too. Notices what any process writes within
    ``LONGEST_LOOK_S``; each look costs microseconds.
    """
    wanted = ElementName.parse(name).job
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with opened(settings) as ledger:
        known: Job | None = None
        pause = SHORTEST_LOOK_S
        version = -1
        while True:
            newest = ledger.version()
            if newest != version:
                version = newest
                found = ledger.job(wanted)
                if found != known:
                    known, pause = found, SHORTEST_LOOK_S
                    yield found
                    if found.is_done:
                        return
            if deadline is not None and time.monotonic() >= deadline:
                return
            time.sleep(pause)
            pause = min(LONGEST_LOOK_S, pause * 1.2)


def wait(
    settings: Settings,
    name: str,
    *,
    timeout_s: float | None = None,
    on_change: Callable[[Job], None] = lambda _: None,
) -> Job:
    """Return the job once its outputs are in place.

    Raises:
        TimeoutError: they are not after ``timeout_s``.
    """
    last: Job | None = None
    for last in changes(settings, name, timeout_s=timeout_s):
        on_change(last)
    if last is None or not last.is_done:
        raise TimeoutError(f"job {name} is not done after {timeout_s:g} s")
    return last


def cancel(settings: Settings, name: str) -> bool:
    """Ask that a job end; return whether it had not ended before.

    Raises:
        NoSuchJobError: there is none.
    """
    wanted = ElementName.parse(name)
    job(settings, name)
    with opened(settings) as ledger:
        changed = ledger.cancel(wanted.job, wanted.index)
    if changed:
        wake(settings)
    return changed


def logs(
    settings: Settings,
    name: str,
    *,
    follow: bool = False,
    since_s: float | None = None,
    previous: bool = False,
) -> Iterator[bytes]:
    """Yield what the job's command has written; with ``follow``, until it has ended.

    Args:
        settings: Of the facility.
        name: The job, or one of its elements.
        follow: Wait for more, also through the death of the agent that fetches it.
        since_s: Only what was written in so many last seconds. As ``previous``, the
            site is asked: it alone knows.
        previous: Of the run before the site put the job back into its queue.

    Raises:
        NoSuchJobError: there is none.
        FacilityAwayError: the log is at the site and no agent can fetch it.
    """
    wanted = ElementName.parse(name)
    asks_site = since_s is not None or previous
    url = f"/jobs/{wanted}/logs?follow={str(follow).lower()}"
    url += f"&previous={str(previous).lower()}"
    if since_s is not None:
        url += f"&since_s={since_s}"
    shown = 0
    alone_since: float | None = None
    while True:
        found = job(settings, name)
        if found.is_done and not asks_site:
            yield from _after(shown, _kept_log(settings, found, wanted.index))
            return
        try:
            with stream(
                settings.agent_socket, "GET", url, timeout_s=86400 if follow else 60
            ) as (status, chunks):
                alone_since = None
                if status >= 400:
                    raise JobsError(_said(b"".join(chunks)))
                for chunk in _after(shown, chunks):
                    shown += len(chunk)
                    yield chunk
                return
        except OSError as error:
            alone_since = time.monotonic() if alone_since is None else alone_since
            is_lost = time.monotonic() - alone_since > LONGEST_ALONE_S
            if not follow or (is_lost and not wake(settings)):
                raise FacilityAwayError(
                    f"job {name} is {found.stage}: its log is at the site and no agent "
                    f"answers ({reason(error)}): `facility up` starts one"
                ) from None
            time.sleep(LONGEST_LOOK_S)


def _after(skipped: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what comes after so many bytes."""
    for chunk in chunks:
        if skipped < len(chunk):
            yield chunk[skipped:]
        skipped = max(0, skipped - len(chunk))


def _kept_log(settings: Settings, found: Job, index: int | None) -> Iterator[bytes]:
    name = ElementName(found.id, (index or 0) if found.spec.count > 1 else None)
    with (
        contextlib.suppress(FileNotFoundError),
        settings.log(name).open("rb") as log,
    ):
        while chunk := log.read(1 << 20):
            yield chunk


def _said(problem: bytes) -> str:
    """Return the line of a problem (RFC 9457) for a person."""
    try:
        return str(json.loads(problem)["detail"])
    except (ValueError, KeyError, TypeError):
        return problem.decode(errors="replace").strip()


def sites(settings: Settings) -> list[SiteReport]:
    """Return what is known of each site of the facility, in the file's order."""
    with opened(settings) as ledger:
        known = ledger.sites.all()
    return [
        known.get(site.name, SiteReport(site.name, "unknown", "not asked yet"))
        for site in settings.sites
    ]


def check_site(settings: Settings, name: str, *, timeout_s: float = 60.0) -> SiteReport:
    """Have the agent ask a site now; return what it found.

    Raises:
        NoSuchSiteError: the facility has none of that name.
        FacilityAwayError: no agent runs and none can be started.
    """
    settings.site(name)
    if not wake(settings):
        raise FacilityAwayError("no agent runs: `facility up` starts one")
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            status, body = ask(
                settings.agent_socket,
                "POST",
                f"/sites/{name}/check",
                timeout_s=timeout_s,
            )
        except OSError:
            # It is being started: its socket appears within a second or so.
            if time.monotonic() >= deadline:
                raise FacilityAwayError(
                    f"the agent does not answer in {timeout_s:g} s: see `facility status`"
                ) from None
            time.sleep(LONGEST_LOOK_S)
            continue
        if status >= 400:
            raise JobsError(_said(body))
        with opened(settings) as ledger:
            return ledger.sites.all()[name]
