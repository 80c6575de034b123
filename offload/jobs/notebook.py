"""How a notebook is executed in a job: with what its own environment has."""

from __future__ import annotations

from pathlib import Path

from offload.snapshot import Snapshot
from offload.snapshot.model import ENVIRONMENT

RUNNER = """\
import sys, pathlib
try:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
except ImportError as error:
    sys.exit(f"the environment cannot execute notebooks ({error}): install nbclient "
             "and ipykernel in it")
path = pathlib.Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
client = NotebookClient(notebook, timeout=None, kernel_name="python3",
                        resources={"metadata": {"path": str(path.parent)}})
failed = None
try:
    client.execute()
except CellExecutionError as error:
    failed = str(error)
finally:
    nbformat.write(notebook, path)
if failed is not None:
    sys.exit(failed)
"""
"""Runs the cells in order and keeps what they printed, also when one fails. It is sent
as text: the environment of the job need not have anything of ours."""


def notebook_command(snapshot: Snapshot, path: Path) -> tuple[str, ...]:
    """Return the command that executes a notebook in place."""
    environment = snapshot.part(ENVIRONMENT)
    python = snapshot.base.python or "python3"
    if environment is not None:
        python = f"{environment.mount}/bin/python"
    return (python, "-c", RUNNER, str(path))
