"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

DISTRIBUTIONS = (
    "jupyterhub",
    "configurable-http-proxy",
    "dask-gateway-server",
    "distributed",
    "uproot",
    "awkward",
    "numpy",
)


def machine() -> dict[str, str]:
    """Return processor, cores, memory, system and versions, each in words."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    } | {name: version(name) for name in DISTRIBUTIONS}
