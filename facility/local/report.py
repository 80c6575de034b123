"""How a running facility is doing: what ``facility status`` shows."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from facility.local.job_report import JobReport, look_at_jobs
from facility.local.ledger import Ledger
from facility.local.lock import is_locked
from facility.local.paths import Place, Storage
from facility.open_places import OFFLOAD_FILE, open_dir
from facility.process import ProcessIdentity

SAMPLE_S = 0.1
"""How long CPU use is measured at least."""
RUNNING = 3
"""``JobStatus.RUNNING`` in dask-gateway's table of clusters."""


@dataclass(frozen=True, slots=True)
class Row:
    """One process. Memory (resident) and CPU are ``None`` while it does not run."""

    name: str
    state: str
    pid: int | None
    since: float
    """Of this state, in seconds since the epoch."""
    restarts: int
    memory_bytes: int | None
    cpu_percent: float | None
    """Of one core."""
    url: str
    error: str
    """Why it ended the last time; empty if it never did."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole facility."""

    id: str
    url: str
    phase: str
    processes: tuple[Row, ...]
    servers: int | None
    """Notebook servers that run; ``None`` while the hub does not answer."""
    clusters: int | None
    """Dask clusters that run; ``None`` if the gateway has no database yet."""
    offload: JobReport | None
    """Jobs of who asks, and the sites; ``None`` before his first job."""

    def to_json(self) -> dict[str, Any]:
        return {"running": True, **asdict(self)}


def make_report(place: Place) -> Report | None:
    """Look at the facility of a directory; ``None`` if it does not run."""
    storage = place.last_storage()
    if storage is None or not is_locked(place.supervisor_lock):
        return None
    ledger = Ledger.load(storage.ledger_file)
    if ledger is None:
        return None
    watched = [(e.name, e.identity) for e in ledger.processes]
    alive = _begin([("supervisor", ledger.supervisor), *watched])
    begin = time.monotonic()
    servers, clusters = count_servers(storage), count_clusters(storage)
    time.sleep(max(0.0, begin + SAMPLE_S - time.monotonic()))
    use = _finish(alive)
    rows = [
        Row(
            name=entry.name,
            state=entry.state,
            pid=None if entry.identity is None else entry.identity.pid,
            since=entry.since,
            restarts=entry.restarts,
            memory_bytes=use[entry.name][0] if entry.name in use else None,
            cpu_percent=use[entry.name][1] if entry.name in use else None,
            url=entry.url,
            error=entry.error,
        )
        for entry in ledger.processes
    ]
    memory, cpu = use.get("supervisor", (None, None))
    rows.append(
        Row(
            name="supervisor",
            state=ledger.phase,
            pid=ledger.supervisor.pid,
            since=ledger.started,
            restarts=0,
            memory_bytes=memory,
            cpu_percent=cpu,
            url="",
            error=ledger.error,
        )
    )
    return Report(
        id=ledger.id,
        url=ledger.url,
        phase=ledger.phase,
        processes=tuple(rows),
        servers=servers,
        clusters=clusters,
        offload=look_at_jobs(_settings_file(storage)),
    )


def _settings_file(storage: Storage) -> Path:
    """Return where people's programs are told of jobs."""
    is_root = os.geteuid() == 0
    folder = open_dir(storage.id, storage.state_dir, multi_user=is_root)
    return folder / OFFLOAD_FILE


def _begin(
    watched: list[tuple[str, ProcessIdentity | None]],
) -> dict[str, psutil.Process]:
    """Start measuring those that run."""
    alive = {}
    for name, identity in watched:
        if identity is not None and identity.is_alive():
            with suppress(psutil.NoSuchProcess):
                alive[name] = psutil.Process(identity.pid)
                alive[name].cpu_percent()
    return alive


def _finish(alive: dict[str, psutil.Process]) -> dict[str, tuple[int, float]]:
    """Return resident bytes, and CPU percent since the beginning, by name."""
    used = {}
    for name, process in alive.items():
        with suppress(psutil.NoSuchProcess):
            used[name] = (process.memory_info().rss, process.cpu_percent())
    return used


def count_servers(storage: Storage) -> int | None:
    """Ask the hub how many notebook servers run."""
    try:
        runtime = json.loads(storage.runtime_file.read_text())
        port = runtime["ports"]["hub_api"]
        token = (storage.secrets_dir / "admin-token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/hub/api/users?state=active",
            headers={"Authorization": f"token {token}"},
        )
        with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
            users = json.load(response)
    except (OSError, ValueError):
        return None
    return sum(len(user.get("servers", {})) for user in users)


def count_clusters(storage: Storage) -> int | None:
    """Count the clusters that run in the gateway's own database."""
    path = storage.state_dir / "gateway.sqlite"
    try:
        with closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
        ) as database:
            query = "SELECT count(*) FROM clusters WHERE status = ?"
            (count,) = database.execute(query, (RUNNING,)).fetchone()
    except sqlite3.Error:
        return None
    return int(count)
