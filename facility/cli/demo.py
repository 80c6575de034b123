"""``facility demo``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facility.cli.invocation import Json

INSTALL = "FACILITY_INSTALL_SECONDS"
"""Set by ``make demo``: how long the installation took."""


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Directory for the outputs.", file_okay=False)
    ] = Path("demo-output"),
    notebook: Annotated[
        Path, typer.Option("--notebook", help="The notebook to execute.")
    ] = Path("notebooks/dimuon.ipynb"),
    as_json: Json = False,
) -> None:
    """Start a facility, find the Z boson on it and in a job, show the times, stop."""
    from rich.console import Console

    from facility.local.demo import OUTPUTS, Stage, run_demo
    from facility.local.demo_job import RESULT

    console = Console(quiet=as_json, highlight=False, soft_wrap=True)

    def tell(stage: Stage) -> None:
        note = f"  {stage.note}" if stage.note else ""
        console.print(f"{stage.name:30} {stage.seconds:7.2f} s{note}")

    install = os.environ.get(INSTALL)
    stages = run_demo(notebook, out, tell, float(install) if install else None)
    if as_json:
        record = {
            "stages": [asdict(stage) for stage in stages.done],
            "notebook": stages.measured,
            "job": stages.job,
            "out": str(out.absolute()),
        }
        typer.echo(json.dumps(record, indent=1))
        return
    job = stages.job
    console.print(f"\n{job['bars']}")
    console.print(
        f"{job['pairs']} pairs of muons from 60 to 120 GeV: what the job returned, bin "
        "by bin what the notebook's cluster found"
    )
    names = ", ".join(("dimuon.ipynb", *OUTPUTS, RESULT, "stages.json"))
    console.print(f"\nnothing is left running; {names} are in {out.absolute()}")
