"""A container as the tasks of a parallel job: ``srun`` starts one runtime for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from offload.plugins.node import task
from offload.plugins.node.folder import write_json
from offload.plugins.node.runtimes import Launch


def across_tasks(
    launch: Launch, nodes: int, tasks: int, run: Path, environment: Mapping[str, str]
) -> Launch:
    """Return what starts all tasks of a job of several, on all of its nodes.

    ``srun`` ends all if one fails, with the highest exit code of theirs. Which kind of
    MPI it speaks is the site's default (``MpiDefault``), or the user's
    ``SLURM_MPI_TYPE``.
    """
    arguments = launch.arguments
    if launch.is_sandboxed:
        # Ranks on one node meet in shared memory.
        arguments += "".join(f"{word}\0" for word in ("--bind", "/dev/shm", "/dev/shm"))  # noqa: S108
    document = {
        "argv": launch.argv,
        "env": launch.environment,
        "cwd": launch.cwd,
        "arguments": arguments,
        "sandboxed": launch.is_sandboxed,
        "folders": launch.folders,
    }
    path = run / "task.json"
    write_json(path, document, is_durable=False)
    return Launch(
        argv=(
            "srun", f"--nodes={nodes}", f"--ntasks={tasks}", "--kill-on-bad-exit=1",
            "--", sys.executable, "-I", "-S", os.fspath(task.__file__), str(path),
        ),
        environment=dict(environment),
    )  # fmt: skip
