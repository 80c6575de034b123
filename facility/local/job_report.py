"""How one's own jobs and the sites are doing: a part of ``facility status``.

Read straight from the ledger (``offload.jobs.tables``), as it is: who asks for the
status shall not wait for an SQL toolkit.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site as one's agent saw it last."""

    name: str
    state: str
    detail: str
    """What it waits for or warns of; empty if all is well."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """One's own jobs that are not over, and the sites."""

    jobs: int
    sites: tuple[SiteRow, ...]


def look_at_jobs(settings_file: Path) -> JobReport | None:
    """Read the ledger of who asks; ``None`` if there is none yet.

    Args:
        settings_file: of the facility (``offload.jobs.settings``).
    """
    try:
        settings = json.loads(settings_file.read_text())
        ledger = Path(settings["state_dir"]).expanduser() / "ledger.sqlite"
        with closing(
            sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=1)
        ) as database:
            query = "SELECT count(*) FROM jobs WHERE closed_at IS NULL"
            (jobs,) = database.execute(query).fetchone()
            known = {
                name: SiteRow(name, state, detail)
                for name, state, detail in database.execute(
                    "SELECT name, state, detail FROM sites"
                )
            }
    except (OSError, ValueError, sqlite3.Error):
        return None
    names = [site["name"] for site in settings["sites"]]
    rows = tuple(known.get(name, SiteRow(name, "not asked yet", "")) for name in names)
    return JobReport(int(jobs), rows)
