"""``facility site``: where jobs can run, and how that is doing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.invocation import Json, given_directory
from facility.errors import ExitCode
from facility.text import shown

if TYPE_CHECKING:
    from facility.spec import Site
    from offload.jobs.settings import Settings
    from offload.jobs.site_reports import SiteReport

app = typer.Typer(
    name="site",
    help="Where jobs can run, and how that is doing.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_sites(context: typer.Context, as_json: Json = False) -> None:
    """List the sites of the facility, as they were seen last."""
    from offload.jobs import queries

    settings = _settings(context)
    reports = queries.sites(settings)
    rows = [(settings.site(r.name), r) for r in reports]
    if as_json:
        typer.echo(json.dumps([_record(*row) for row in rows], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("site", "kind", "where", "state", "slices"):
        table.add_column(heading)
    for site, report in rows:
        table.add_row(
            site.name,
            site.kind.value,
            _where(site),
            _state(report),
            ", ".join(_slices(report)) or "-",
        )
    Console(markup=False, highlight=False).print(table)


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.", metavar="NAME")],
    as_json: Json = False,
) -> None:
    """Ask a site now; exit code 1 if it cannot be reached."""
    from offload.jobs import queries

    settings = _settings(context)
    site = settings.site(name)
    report = queries.check_site(settings, name)
    if as_json:
        typer.echo(json.dumps(_record(site, report), indent=1))
    else:
        typer.echo(f"{name}: {_state(report)}")
        for line in _facts(report):
            typer.echo(f"  {line}")
        if site.keys and report.state != "ready":
            for line in _how_to_dial_in(settings, site):
                typer.echo(f"  {line}")
    if report.state != "ready":
        raise typer.Exit(ExitCode.FAILED)


def _settings(context: typer.Context) -> Settings:
    from facility.client.offload_settings import load_settings

    return load_settings(given_directory(context))


def _where(site: Site) -> str:
    if site.host is not None:
        return site.host
    return "dials in" if site.keys else "this machine"


def _state(report: SiteReport) -> str:
    from facility.text import moment

    is_news = report.detail not in {"", "reachable"}
    words = f"{report.state}: {shown(report.detail)}" if is_news else report.state
    now = time.time()
    if report.until is not None and report.until > now:
        words += f" (until {moment(report.until, now)})"
    return words


def _info(report: SiteReport) -> dict[str, Any]:
    found = json.loads(report.info) if report.info else {}
    assert isinstance(found, dict)
    return found


def _slices(report: SiteReport) -> list[str]:
    slices = _info(report).get("slices") or {}
    return [f"{count} {name}" for name, count in sorted(slices.items())]


def _facts(report: SiteReport) -> list[str]:
    """Say what a site is, as far as it told."""
    from facility.text import amount

    info = _info(report)
    if not info:
        return []
    pythons = [f"{p['version']} ({p['path']})" for p in info.get("pythons") or ()]
    scheduler = info.get("scheduler") or {}
    free = info.get("free_bytes")
    facts = {
        "plugin": info.get("version"),
        "executors": ", ".join(info.get("executors") or ()),
        "runtime": info.get("runtime"),
        "scheduler": " ".join(str(v) for v in scheduler.values() if v),
        "machine": f"{info.get('architecture')}, {info.get('libc')} "
        f"{info.get('libc_version')}",
        "python": ", ".join(pythons),
        "slices": ", ".join(_slices(report)),
        "free": None if free is None else amount(free),
    }
    return [f"{key:10} {value}" for key, value in facts.items() if value]


def _how_to_dial_in(settings: Settings, site: Site) -> list[str]:
    return [
        f"{settings.facility_id} waits for it; on its login node, with one of its keys:",
        f"offload-plugin --config site.yaml --dial HOST:PORT  (as site {site.name})",
    ]


def _record(site: Site, report: SiteReport) -> dict[str, Any]:
    return {
        "name": site.name,
        "kind": site.kind.value,
        "where": _where(site),
        "description": site.description,
        "state": report.state,
        "detail": report.detail,
        "until": report.until,
        "info": _info(report) or None,
    }
