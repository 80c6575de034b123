"""From nothing to the first histogram, and what importing us takes."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from adl.environment import sample_of
from measurement import Bar, Measurement

FIRST = """
import sys
from facility.columnar import Dataset
from facility.columnar.adl.kernels import dimuons
assert Dataset(sys.argv[1]).run(dimuons, progress=False).hist.sum() > 0
"""


def rows(rounds: int) -> list[Measurement]:
    """Measure new processes; what was compiled before is on disk."""
    path = str(sample_of(10_000))
    seconds(FIRST, path)
    result, result_cpu, imported, imported_cpu = (
        Measurement(name, unit, bar, other)
        for name, unit, bar, other in (
            ("first result, cold process", "s wall", Bar(2.5, of_ratio=False), ""),
            ("first result, cold process", "s CPU", Bar(2.5, of_ratio=False), ""),
            ("import facility.columnar", "s wall", Bar(0.7, of_ratio=False), ""),
            ("import facility.columnar", "s CPU", Bar(0.7, of_ratio=False), ""),
        )
    )
    for _ in range(rounds):
        bare = seconds("pass")
        for code, wall_row, cpu_row, without in (
            (FIRST, result, result_cpu, (0.0, 0.0)),
            ("import facility.columnar", imported, imported_cpu, bare),
        ):
            wall, cpu = seconds(code, path)
            wall_row.add(is_ours=True, value=wall - without[0])
            cpu_row.add(is_ours=True, value=cpu - without[1])
    return [result, result_cpu, imported, imported_cpu]


def seconds(code: str, *arguments: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - (before.ru_utime + before.ru_stime)
    return wall, cpu
