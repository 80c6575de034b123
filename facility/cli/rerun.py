"""``facility rerun``: a saved result computed again from what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.invocation import Json
from facility.errors import ExitCode
from facility.text import counted

if TYPE_CHECKING:
    from facility.columnar.rerunning import Again, Saved

app = typer.Typer(name="rerun", add_completion=False)


@app.command()
def rerun(
    saved: Annotated[
        Path, typer.Argument(help="What `result.save(...)` wrote.", metavar="RESULT")
    ],
    on: Annotated[
        str, typer.Option("--on", help="threads, processes, serial or batch.")
    ] = "threads",
    out: Annotated[
        Path | None, typer.Option("--out", help="Save what comes out now.")
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Show the analysis; run nothing.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run it though others may have written it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compute a saved result again and compare the bytes.

    This runs the analysis that the file holds, with your rights. Exit codes: 0 the same
    bytes; 1 the histograms differ; 2 input files are not what they were (each is
    named), or it cannot be run here.
    """
    from facility.columnar.rerunning import compute_again, read_saved

    found = read_saved(saved, trust=trust or source)
    if source:
        typer.echo(_printable(f"# {found.record.name} of {found.record.file or '?'}"))
        typer.echo(_printable(found.record.source) or "# its source is not known")
        return
    changed = found.file_changes()
    environment = found.environment_change()
    if changed:
        _tell(
            as_json,
            {"is_same": False, "changed_files": changed, "environment": environment},
            [f"{path}: {change}" for path, change in changed.items()],
        )
        count = (
            f"{len(changed)} of {counted(len(found.provenance.files), 'input file')}"
        )
        typer.echo(f"facility: changed: {count}; not run", err=True)
        raise typer.Exit(ExitCode.USAGE)
    if environment and not as_json:
        typer.echo(f"the environment differs: {environment}", err=True)
    again = compute_again(found, on=on, progress=not as_json)
    if out is not None:
        again.result.save(out)
    lines = _lines(found, again)
    record = {
        "is_same": not again.differences,
        "is_same_code": again.is_same_code,
        "differences": dict(again.differences),
        "changed_files": {},
        "touched_files": found.touched_files(),
        "environment": environment,
    }
    _tell(as_json, record, lines)
    if again.differences:
        raise typer.Exit(ExitCode.FAILED)


def _printable(text: str) -> str:
    """Return a stranger's text without what would command the terminal."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def _lines(saved: Saved, again: Again) -> list[str]:
    """Say what came out, and if it differs, all that may be the reason."""
    lines = []
    if not again.is_same_code:
        lines.append(
            f"the code differs: {saved.record.name} refers to something that has changed"
        )
    for name, difference in again.differences.items():
        lines.append(f"{name or 'the histogram'}: {difference}")
    if again.differences:
        lines += [f"{path}: written since, same size" for path in saved.touched_files()]
        return lines
    count = len(saved.histograms)
    what = "the histogram" if count == 1 else f"{count} histograms"
    return [*lines, f"the same bytes: {what} of {saved.path}", str(again.result)]


def _tell(as_json: bool, record: dict[str, object], lines: list[str]) -> None:
    for line in [json.dumps(record, indent=1)] if as_json else lines:
        typer.echo(line)
