"""The whole way to a real Slurm and back, beside what it costs without us.

``python tests/benchmarks/overflow.py``: a one-second script by ``facility submit`` and
by ``sbatch`` of the same, alternating; an environment that the site has never seen,
beside ``tar | zstd | tar``, and what it costs by itself the second time; and a hundred
jobs of one environment.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from machine import machine
from measurement import Bar, Measurement
from report import report
from rich.console import Console

from tests.engines.offload.home import Home
from tests.engines.slurm.cluster import SlurmCluster

SCRIPT = (
    "import pathlib, time\ntime.sleep(1)\npathlib.Path('out.txt').write_text('x')\n"
)
PACKAGES = ("numpy==2.4.6", "pandas==2.3.3", "pyarrow==22.0.0")
IMPORT = (
    "import pathlib, time\nimport numpy, pandas, pyarrow\n"
    "pathlib.Path('imported').write_text(str(time.time()))\n"
)


def slurm_seconds(slurm: SlurmCluster, folder: Path, python: Path) -> float:
    """Return Slurm's own turnaround: from calling sbatch until the job is completed."""
    begin = time.perf_counter()
    said = slurm.run(
        "sbatch", "--parsable", f"--chdir={folder}", "--mem=500M", "--output=slurm.out",
        f"--wrap={python} script.py",
    )  # fmt: skip
    id_ = said.strip()
    while "JobState=COMPLETED" not in slurm.run("scontrol", "show", "job", id_):
        time.sleep(0.02)
    return time.perf_counter() - begin


def our_seconds(home: Home, python: Path) -> tuple[float, dict[str, float]]:
    """Return the time from ``submit`` to merged outputs, and of each stage."""
    (home.work / "out.txt").unlink(missing_ok=True)
    begin, clock = time.perf_counter(), time.time()
    id_ = home.submit(
        "--site", "cluster", "--memory", "500M", "--outputs", "out.txt", "--", "python",
        "script.py", python=python,
    )  # fmt: skip
    home.facility("wait", id_)
    seconds = time.perf_counter() - begin
    if (home.work / "out.txt").read_text() != "x":
        raise AssertionError("the output is not in place")
    return seconds, stages_of(home.job(id_), clock)


def stages_of(job: dict[str, Any], begin: float) -> dict[str, float]:
    """Return how long it took to get to each stage, in seconds."""
    seconds, before = {}, begin
    for stage, moment in job["times"].items():
        seconds[stage], before = moment - before, moment
    return seconds


def warm_job(slurm: SlurmCluster, python: Path, rounds: int) -> Measurement:
    row = Measurement(
        "warm job, minus Slurm's own", "s", Bar(2, of_ratio=False), "sbatch"
    )
    ours, stages = [], []
    with Home(slurm) as home:
        (home.work / "script.py").write_text(SCRIPT)
        our_seconds(home, python)
        for _ in range(rounds):
            theirs = slurm_seconds(slurm, home.work, python)
            seconds, times = our_seconds(home, python)
            ours.append(seconds)
            stages.append(times)
            row.add(False, theirs)
            row.add(True, seconds - theirs)
    console = Console(stderr=True)
    console.print(f"submit -> merged {median(ours):.2f} s; stages, medians:")
    for stage in stages[0]:
        console.print(f"  {stage:12} {median(s[stage] for s in stages):6.2f} s")
    return row


def cold_environment(
    slurm: SlurmCluster, prefix: Path, rounds: int
) -> tuple[Measurement, Measurement]:
    cold = Measurement("cold environment", "s", Bar(1), "tar")
    again = Measurement(
        "its second time, times quicker", "x", Bar(20, at_least=True, of_ratio=False)
    )
    python = prefix / "bin/python"
    console = Console(stderr=True)
    for _ in range(rounds):
        cold.add(False, tar_seconds(prefix))
        with Home(slurm) as home:
            home.eventually(lambda home=home: "ready" in home.facility("site", "list"))
            first, stages = import_seconds(home, python)
            second, _ = import_seconds(home, python)
            sent = [stages[s] for s in ("stored", "placed", "transferred")]
        cold.add(True, first)
        console.print(
            f"cold {first:.2f} s (frozen {stages['frozen']:.2f}, sent {sum(sent):.2f}, "
            f"queued {stages['queued']:.2f}, running {stages['running']:.2f}), "
            f"then {second:.2f} s: {first / second:.1f} times quicker with all that a "
            "job takes, Slurm's turnaround, start and imports included"
        )
        once, twice = environment_share(prefix)
        again.add(True, once.seconds / twice.seconds)
        console.print(
            f"of that the environment itself: {once.seconds:.2f} s and "
            f"{once.sent / 1e6:,.1f} MB, then {twice.seconds:.3f} s and "
            f"{twice.sent / 1e6:,.1f} MB"
        )
    return cold, again


class Share(NamedTuple):
    """What an environment costs one job."""

    seconds: float
    """To freeze it, to receive what is lacking, and to lay it out at the site."""
    sent: int
    """Bytes."""


def environment_share(prefix: Path) -> tuple[Share, Share]:
    """Return what an environment costs the first and the second time.

    Measured as the difference between jobs with it and jobs without any, in one
    process: neither Slurm nor HTTP takes part.
    """
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with_it = twice_to_the_site(base / "with", prefix)
        without = twice_to_the_site(base / "without", None)
        first, second = (
            Share(a.seconds - b.seconds, a.sent - b.sent)
            for a, b in zip(with_it, without, strict=True)
        )
        return first, second


def twice_to_the_site(base: Path, prefix: Path | None) -> list[Share]:
    """Freeze a folder, and again after a change; bring both to a site's cache."""
    from offload.cache import SiteCache
    from offload.snapshot import LocalStore, Request, blobs, freeze

    store, site = LocalStore(base / "home"), SiteCache(base / "site")
    project = base / "project"
    project.mkdir()
    shares = []
    for text in ("print(1)\n", "print(2)\n"):
        (project / "script.py").write_text(text)
        begin, sent = time.perf_counter(), 0
        snapshot = freeze(Request(project, prefix=prefix), store)
        for blob in blobs(snapshot, store):
            if site.has(blob.digest):
                continue
            incoming = site.incoming(blob.digest, blob.size)
            incoming.append(0, store.blob_path(blob.digest).read_bytes())
            incoming.commit()
            sent += blob.size
        site.ensure_image(snapshot.image)
        shares.append(Share(time.perf_counter() - begin, sent))
    return shares


def import_seconds(home: Home, python: Path) -> tuple[float, dict[str, float]]:
    """Return the time from ``submit`` until the imports in the job have worked."""
    (home.work / "first.py").write_text(IMPORT)
    begin = time.time()
    id_ = home.submit(
        "--site", "cluster", "--memory", "1G", "--outputs", "imported", "--", "python",
        "first.py", python=python,
    )  # fmt: skip
    home.facility("wait", id_)
    seconds = float((home.work / "imported").read_text()) - begin
    return seconds, stages_of(home.job(id_), begin)


def tar_seconds(prefix: Path) -> float:
    """Return the time of the same bytes through a pipe, and an import there."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(
            [
                "sh", "-c",
                'tar -I zstd -cf - -C "$1" . | tar -I zstd -xf - -C "$2"',
                "sh", prefix, folder,
            ],
            check=True,
        )  # fmt: skip
        return time.perf_counter() - begin


def environment_once(slurm: SlurmCluster, python: Path) -> Measurement:
    row = Measurement(
        "bytes of 100 jobs over those of 1", "x", Bar(1.05, of_ratio=False)
    )
    with Home(slurm) as home:
        (home.work / "script.py").write_text("print('x')\n")
        home.facility(
            "wait",
            home.submit(
                "--site", "cluster", "--", "python", "script.py", python=python
            ),
        )
        store, site = blobs(home.state / "offload/snapshots"), blobs_at(home)
        ids = [
            home.submit(
                "--site",
                "cluster",
                "--memory",
                "100M",
                "--",
                "python",
                "script.py",
                python=python,
            )
            for _ in range(99)
        ]
        for id_ in ids:
            home.facility("wait", id_)
        row.add(
            True,
            max(blobs(home.state / "offload/snapshots") / store, blobs_at(home) / site),
        )
    return row


def blobs(folder: Path) -> int:
    """Return the bytes of an image layout's blobs."""
    return sum(p.stat().st_size for p in folder.rglob("blobs/**/*") if p.is_file())


def blobs_at(home: Home) -> int:
    """Return the bytes that the site was sent."""
    return sum(
        p.stat().st_size
        for p in (home.state / "offload/sites/cluster").rglob("blobs/**/*")
        if p.is_file()
    )


def main() -> int:
    """Measure and print; see the module for the exit codes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["warm", "cold", "once"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    about = machine()
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder, SlurmCluster() as slurm:
        small = Path(folder) / "small"
        subprocess.run(
            ["/usr/bin/python3", "-m", "venv", "--without-pip", small], check=True
        )
        if arguments.only in {None, "warm"}:
            rows.append(warm_job(slurm, small / "bin/python", arguments.rounds))
        if arguments.only in {None, "once"}:
            rows.append(environment_once(slurm, small / "bin/python"))
        if arguments.only in {None, "cold"}:
            large = Path(folder) / "large"
            make_environment(large)
            rows += cold_environment(slurm, large, max(1, arguments.rounds // 2))
    return report(rows, about, "jobs at another site", as_json=arguments.json)


def make_environment(prefix: Path) -> None:
    """Install numpy, pandas and pyarrow, with byte code as pip does."""
    uv = shutil.which("uv")
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", *(["--without-pip"] if uv else []), prefix],
        check=True,
    )
    command = (
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            prefix / "bin/python",
        ]
        if uv
        else [prefix / "bin/python", "-m", "pip", "install", "--quiet"]
    )
    subprocess.run([*command, *PACKAGES], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
