"""One task of a parallel job: becomes the runtime, with what this task's srun said.

Run by srun on every node, ``python -I -S task.py task.json``: imports nothing of ours.
"""
# pathlib takes as long to import as all of this program.
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import json
import os
import sys

# As in variables.PASSED_ON, which this program cannot import.
SCHEDULER = ("SLURM_", "SLURMD_", "PMI", "OMPI_", "CUDA_VISIBLE_", "GPU_DEVICE_",
             "ROCR_VISIBLE_", "NVIDIA_VISIBLE_", "ZE_AFFINITY_")  # fmt: skip


def main(path: str) -> None:
    """Execute the runtime; returns only by an exception."""
    with open(path) as file:
        launch = json.load(file)
    for folder in launch["folders"]:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    environment = dict(launch["env"])
    environment.update((k, v) for k, v in os.environ.items() if k.startswith(SCHEDULER))
    argv = launch["argv"]
    if launch["sandboxed"]:
        handle = os.memfd_create("arguments", 0)
        os.write(handle, launch["arguments"].encode("utf-8", "surrogateescape"))
        os.lseek(handle, 0, os.SEEK_SET)
        argv = [argv[0], "--args", str(handle), *argv[1:]]
    os.chdir(launch["cwd"])
    os.execvpe(argv[0], argv, environment)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
