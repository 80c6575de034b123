"""Hand a job over: written durably, and then an agent is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from offload.jobs.credentials import read_credential
from offload.jobs.errors import JobRefusedError
from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.placement import HostBase, SiteInfo, obstacles
from offload.jobs.settings import Settings
from offload.jobs.specification import JobSpec
from offload.jobs.wake import NOBODY, wake
from offload.outputs.prior import Prior

if TYPE_CHECKING:
    from offload.snapshot import Snapshot

_KEPT = frozenset(
    {"LANG", "LANGUAGE", "TZ", "PATH", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"}
)
"""Variables that a program's results may depend on, and all of ``LC_``: no tokens."""


def relevant_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a job should have like the shell it is sent from."""
    return {k: v for k, v in environment.items() if k in _KEPT or k.startswith("LC_")}


def check(spec: JobSpec, base: HostBase, settings: Settings) -> None:
    """Refuse what no site can run, as far as is known of them.

    Raises:
        NoSuchSiteError: the site that is named does not exist.
        JobRefusedError: a credential is missing or readable by others, or every site
            that is known lacks something; the line says what each lacks.
    """
    if spec.site is not None:
        settings.site(spec.site)
    for name in spec.credentials:
        read_credential(name, settings.credentials_dir)  # whether it can be
    with closing(Ledger(settings.ledger)) as ledger:
        reports = ledger.sites.all()
    lines = []
    for site in settings.sites:
        if spec.site not in {None, site.name}:
            continue
        report = reports.get(site.name)
        if report is None or report.info is None:
            return  # not known yet: the agent will say
        why = obstacles(spec, base, SiteInfo.from_json(report.info))
        if not why:
            return
        lines.append(f"site {site.name} {'; '.join(why)}")
    raise JobRefusedError(" | ".join(lines) or "the facility has no sites")


def submit(snapshot: Snapshot, spec: JobSpec, settings: Settings) -> JobId:
    """Record the job and wake the agent; the job is safe when this returns.

    Works without an agent: the job then stays frozen, and says so.

    Args:
        snapshot: Frozen into ``settings.snapshots``.
        spec: What to run; its ``environment`` should come from
            :func:`relevant_environment`.
        settings: Of the facility.

    Raises:
        JobRefusedError, NoSuchSiteError, NoSuchJobError: nothing was recorded.
    """
    check(spec, snapshot.base, settings)
    prior = Prior.record(spec.root, spec.declared)
    with closing(Ledger(settings.ledger)) as ledger:
        job = ledger.add(
            spec,
            snapshot=snapshot.to_json(),
            prior=json.dumps(prior.to_json()),
            image=snapshot.image,
            above=_highest(settings.jobs_dir.expanduser()),
            warnings=(*spec.warnings, *snapshot.warnings),
        )
        if not wake(settings):
            ledger.note(job, NOBODY)
    return job


def _highest(folder: Path) -> int:
    """Return the highest id that has a folder here, of whatever facility's ledger."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return 0
    # Longer ones are a person's own, such as dates.
    ids = [n for n in names if n.isascii() and n.isdecimal() and len(n) < 8]
    return max(map(int, ids), default=0)
