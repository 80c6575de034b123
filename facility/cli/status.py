"""``facility status``."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from facility.cli.absence import absence
from facility.cli.invocation import Json, place_of
from facility.errors import ExitCode
from facility.text import duration

if TYPE_CHECKING:
    from facility.local.report import Report

WIDE = 200
MIB = 2**20


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show every process of the facility; exit code 3 if it is down."""
    from facility.local.report import make_report

    place = place_of(context)
    report = make_report(place)
    if as_json:
        record = {"running": False} if report is None else report.to_json()
        typer.echo(json.dumps(record, indent=1))
    elif report is None:
        typer.echo(absence(place))
    else:
        _print(report)
    if report is None:
        raise typer.Exit(ExitCode.NOT_RUNNING)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("name", "state"):
        table.add_column(name)
    for name in ("pid", "uptime", "restarts", "memory", "CPU", "port"):
        table.add_column(name, justify="right")
    for row in report.processes:
        table.add_row(
            row.name,
            row.state,
            "-" if row.pid is None else str(row.pid),
            duration(time.time() - row.since, is_fine=False),
            str(row.restarts),
            "-" if row.memory_bytes is None else f"{row.memory_bytes / MIB:.0f} MiB",
            "-" if row.cpu_percent is None else f"{row.cpu_percent:.0f} %",
            str(urlsplit(row.url).port or "-"),
        )
    # A pipe or a file is as wide as it must be; rich would take it for 80 columns.
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
    console.print(table)
    for row in report.processes:
        if row.error:
            console.print(
                f"{row.name} ended: {row.error} (`facility logs {row.name}`)",
                style="yellow",
                highlight=False,
            )
    servers = "?" if report.servers is None else report.servers
    clusters = "?" if report.clusters is None else report.clusters
    console.print(
        f"{report.phase}: {report.url}  notebook servers: {servers}  "
        f"Dask clusters: {clusters}",
        highlight=False,
    )
    if report.offload is not None:
        sites = ", ".join(
            f"{site.name} ({site.state})" for site in report.offload.sites
        )
        console.print(
            f"your jobs: {report.offload.jobs}  sites: {sites}", highlight=False
        )
        for site in report.offload.sites:
            if site.detail and site.detail != "reachable":
                console.print(
                    f"site {site.name}: {site.detail}", style="yellow", highlight=False
                )
