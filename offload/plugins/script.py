"""The batch script: which folder, then the wrapper until that has finished.

The same for every executor. It outlives a wrapper that was killed and starts it again;
the wrapper goes on where the other stopped, so user code runs once.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from offload.plugins.node.events import STOPPED
from offload.plugins.node.folder import ExitCode

FOLDERS = "folders"
"""File with one pod folder a line; an array's element takes its own."""
_TRIES = 100


def batch_script(python: Path) -> str:
    """Return the script; it is run in the folder of its submission.

    Args:
        python: The Python that runs the wrapper, as compute nodes see it.
    """
    final = "|".join(str(code.value) for code in ExitCode)
    return f"""#!/bin/sh
# Many schedulers signal nobody but this script. The wrapper, which has things to put in
# order, must hear of it too, and also the one that comes after a killed one.
forward() {{
    export {STOPPED}=TERM
    [ -z "$wrapper" ] || kill -TERM "$wrapper" 2>/dev/null
}}
wrapper=
trap forward HUP INT TERM USR1 USR2
task=${{SLURM_ARRAY_TASK_ID:-0}}
folder=$(sed -n "$((task + 1))p" {FOLDERS})
tries=0
while :; do
    {shlex.quote(str(python))} -P -m offload.plugins.node "$folder" &
    wrapper=$!
    # A signal ends the first wait, not the wrapper.
    while wait "$wrapper"; code=$?; kill -0 "$wrapper" 2>/dev/null; do :; done
    case $code in {final}) exit "$code" ;; esac
    wrapper=
    tries=$((tries + 1))
    [ "$tries" -lt {_TRIES} ] || exit "$code"
    sleep 1
done
"""
