"""``make bench``: ours beside bare JupyterHub and dask-gateway, in one run.

The sides alternate (A B A B ...), so that a busy moment hits both; medians decide.
One round that is not counted warms the disk's cache up.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from adl.parts import measure_all
from bare import bare
from column_programs import column_rows
from installation import base_megabytes, describe_seconds, kernels_megabytes
from machine import machine
from measurement import Bar, Measurement
from ours import ours
from report import report
from rich.console import Console
from running import Running, spawn_seconds

from facility.samples.dimuon import DimuonParameters, generate

HERE = Path(__file__).parent

Side = Callable[[Path, dict[str, float]], AbstractContextManager[Running]]
Report = Callable[[str], None]
TIMEOUT_S = 300


def main() -> int:
    """Measure, print a table (or JSON), and say by the exit code if all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--events", type=int, default=8_000_000, help="of the rate")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    about = machine()
    rows = measure(arguments.rounds, arguments.events, console.print)
    rows += measure_all(console)
    rows += column_rows(console.print)
    title = f"medians of {arguments.rounds}"
    return report(rows, about, title, as_json=arguments.json)


def measure(rounds: int, events: int, report: Report) -> list[Measurement]:
    """Measure every row, the quick ones last."""
    describe_seconds()
    return [
        *facility_rows(rounds, report),
        rate_row(rounds, events, report),
        Measurement(
            "describe environment, warm",
            "s",
            Bar(0.3, of_ratio=False),
            ours_values=[describe_seconds() for _ in range(rounds)],
        ),
        Measurement(
            "base environment",
            "MB",
            Bar(900, of_ratio=False),
            ours_values=[base_megabytes()],
        ),
        Measurement(
            "kernels (LLVM) on top",
            "MB",
            Bar(250, of_ratio=False),
            ours_values=[kernels_megabytes()],
        ),
    ]


def facility_rows(rounds: int, report: Report) -> list[Measurement]:
    """Measure start, spawn and clusters of both sides."""
    rows = {
        "hub": Measurement("hub ready", "s", Bar(1.1)),
        "gateway": Measurement("hub and gateway ready", "s", Bar(1.1)),
        "spawn": Measurement("server: POST to ready", "s", Bar(1.2)),
        "cluster": Measurement("new_cluster + 2 workers", "s", Bar(0.8)),
    }
    for index in range(rounds + 1):
        for name, side in (("bare", bare), ("ours", ours)):
            times = facility_seconds(side)
            told = ", ".join(f"{key} {value:.2f} s" for key, value in times.items())
            report(f"{name}, round {index} of {rounds}: {told}")
            if index > 0:
                for key, row in rows.items():
                    row.add(name == "ours", times[key])
    return list(rows.values())


def facility_seconds(side: Side) -> dict[str, float]:
    """Start one side in an empty directory; return the seconds of each step."""
    times: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        side(Path(directory), times) as running,
    ):
        times["spawn"] = spawn_seconds(running)
        (times["cluster"],) = numbers_of("cluster_probe.py", running)
    return times


def rate_row(rounds: int, events: int, report: Report) -> Measurement:
    """Measure the dimuon analysis on two workers and by hand on one core.

    Raises:
        ValueError: the two histograms differ by more than a pair in 100,000.
    """
    row = Measurement(
        f"dimuon, {events / 1e6:g} M events, 2 workers",
        "M events/s",
        Bar(1.9, at_least=True),
        other="by hand, 1 core",
    )
    sample = str(generate(DimuonParameters(events=events)))
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        ours(Path(directory), {}) as running,
    ):
        for index in range(rounds):
            count, seconds, pairs = numbers_of("rate_by_hand.py", None, sample)
            row.add(False, count / seconds / 1e6)
            ours_count, ours_seconds, ours_pairs = numbers_of(
                "rate_on_workers.py", running, sample
            )
            row.add(True, ours_count / ours_seconds / 1e6)
            if (count, 0) != (ours_count, round((pairs - ours_pairs) / pairs, 5)):
                raise ValueError(
                    f"by hand: {pairs:.0f} pairs of {count:.0f} events, ours: "
                    f"{ours_pairs:.0f} of {ours_count:.0f}; they must be equal"
                )
            report(
                f"rate, round {index + 1} of {rounds}: by hand "
                f"{row.other_values[-1]:.2f}, ours {row.ours_values[-1]:.2f} M events/s"
            )
    return row


def numbers_of(program: str, running: Running | None, *arguments: str) -> list[float]:
    """Run a program beside this file, as a user of the facility; return its output."""
    environment = dict(os.environ)
    if running is not None:
        environment |= {
            "DASK_GATEWAY__ADDRESS": f"{running.url}/services/dask-gateway",
            "DASK_GATEWAY__PROXY_ADDRESS": running.gateway_tls,
            **running.client_environment,
        }
    done = subprocess.run(
        [sys.executable, HERE / program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
