"""``make bench``: ours beside bare JupyterHub and dask-gateway, in one run.

The sides alternate (A B A B ...), so that a busy moment hits both; medians decide.
One round that is not counted warms the disk's cache up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from bare import bare
from machine import machine
from measurement import Bar, Measurement
from ours import ours
from rich.console import Console
from rich.table import Table
from running import Running, spawn_seconds

HERE = Path(__file__).parent

Side = Callable[[Path, dict[str, float]], AbstractContextManager[Running]]


def round_of(side: Side) -> dict[str, float]:
    """Start one side in an empty directory; return the seconds of each step."""
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        with side(Path(directory), times) as running:
            times["cluster"] = cluster_seconds(running)
            times["spawn"] = spawn_seconds(running)
    return times


def cluster_seconds(running: Running) -> float:
    """Return what the probe measures, as a program of that user."""
    environment = os.environ | {
        "DASK_GATEWAY__ADDRESS": f"{running.url}/services/dask-gateway",
        "DASK_GATEWAY__PROXY_ADDRESS": running.gateway_tls,
        **running.client_environment,
    }
    done = subprocess.run(
        [sys.executable, HERE / "cluster_probe.py"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return float(done.stdout)


def facility_rows(rounds: int, report: Callable[[str], None]) -> list[Measurement]:
    """Measure start, spawn and clusters of both sides."""
    rows = {
        "hub": Measurement("hub ready", "s", Bar(1.1)),
        "gateway": Measurement("hub and gateway ready", "s", Bar(1.1)),
        "spawn": Measurement("server: POST to ready", "s", Bar(1.2)),
        "cluster": Measurement("new_cluster + 2 workers", "s", Bar(0.8)),
    }
    for index in range(rounds + 1):
        for name, side in (("bare", bare), ("ours", ours)):
            times = round_of(side)
            told = ", ".join(f"{k} {v:.2f} s" for k, v in times.items())
            report(f"round {index} of {rounds}, {name}: {told}")
            if index == 0:
                continue
            for key, row in rows.items():
                values = row.ours_values if name == "ours" else row.other_values
                values.append(times[key])
    return list(rows.values())
