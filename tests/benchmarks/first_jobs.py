"""How soon the first job of a published environment imports it at a real Slurm site.

``python tests/benchmarks/first_jobs.py [--rounds 3]``: a registry, a publisher, and a
squid 20 ms away that has all of it, with a bundle of what such imports have read before.
Each round submits ``import numpy, pandas`` twice, each time to a site that has never seen
the environment: one may read it lazily (``lazy: auto``), the other fetches it whole first
(``lazy: never``), in turns. The time is that from ``facility submit`` to the imports'
end in the job; the snapshot is frozen before. The best round of each counts: others'
work only adds.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from machine import machine
from measurement import NOT_JUDGED, Bar, Measurement
from report import report
from rich.console import Console

from offload.cache.publishing.tokens import site_token
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.cache.reading.bundles import path_of
from offload.cache.reading.mounting import Mount
from offload.cache.reading.reporting import report_traces
from offload.plugins.node import nodes
from tests.engines.environments_published.way import Way, index_of
from tests.engines.offload.small import make_environment
from tests.engines.publishing.house import houses
from tests.engines.sitecache import engines
from tests.engines.slurm.cluster import SlurmCluster

DELAY_MS = 20
PACKAGES = ("numpy", "pandas")
IMPORT = f"import {', '.join(PACKAGES)}\n"
SCRIPT = (
    f"import pathlib, time\n{IMPORT}"
    "lazily = pathlib.Path(numpy.__file__).resolve().is_relative_to('/run')\n"
    "pathlib.Path('imported').write_text(f'{time.time()} {lazily}')\n"
)


def main() -> int:
    """Measure and print; see the module for the exit codes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    about = machine()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        python = make_environment(folder / "env", PACKAGES)
        subprocess.run([python, "-c", IMPORT], check=True)  # byte code, as pip makes it
        slurm = stack.enter_context(SlurmCluster())
        index = stack.enter_context(index_of(python))
        house = stack.enter_context(houses(folder))()
        house.registry.start()
        house.publisher.start()
        squid = stack.enter_context(engines.squid(folder / "squid"))
        far = stack.enter_context(engines.delayed(squid, DELAY_MS))
        way = Way(stack, house, far, index)
        publish(way, python, folder)
        rows = first_jobs(way, slurm, python, arguments.rounds)
    return report(rows, about, "first jobs of an environment", as_json=arguments.json)


def publish(way: Way, python: Path, folder: Path) -> None:
    """Publish the environment, with a bundle of what the imports read."""
    home = way.home({})
    (home.work / "script.py").write_text(SCRIPT)
    id_ = home.submit("--site", "here", "--", "python", "script.py", python=python)
    home.facility("wait", id_)
    _, public = way.images_of(home, id_)
    if public is None:
        raise AssertionError("nothing of the environment is public")
    with way.house.client() as client:
        if not client.wait(public.digest, 100).is_published:
            raise AssertionError("the environment is not published")
    token = folder / "site-token"
    token.write_text(site_token("far", "of tokens"))
    token.chmod(0o600)
    said = way.reading()
    reading = RepositorySettings(
        **{key: said[key] for key in ("fqrn", "urls", "proxies")},
        master_keys=said["keys"],
        refresh_s=0,
        report={"url": way.house.publisher.url, "token": token},
    )
    mount = folder / "traced"
    mount.mkdir()
    with RepositoryCache(folder / "tracing", reading) as cache:
        with Mount(cache, public.digest, mount):
            (packages,) = mount.glob("env/lib/python3*/site-packages")
            code = f"import sys; sys.path.append(sys.argv[1]); {IMPORT}"
            subprocess.run([python, "-I", "-S", "-c", code, packages], check=True)
        report_traces(cache.folder, reading.report)
        home.eventually(lambda: cache.view().find(path_of(public.digest)))
        cache.image(public.digest)  # squid has all of it


def first_jobs(
    way: Way, slurm: SlurmCluster, python: Path, rounds: int
) -> list[Measurement]:
    imported = Measurement("submit -> imported", "s", Bar(1), "whole")
    transferred = Measurement("of that until at the site", "s", NOT_JUDGED, "whole")
    console = Console(stderr=True)
    for number in range(rounds):
        for lazily in (True, False) if number % 2 else (False, True):
            seconds, stages = first_job(way, slurm, python, lazily=lazily)
            imported.add(lazily, seconds)
            transferred.add(lazily, stages["transferred"])
            console.print(
                f"{'lazily' if lazily else 'whole':6} {seconds:6.2f} s: "
                + ", ".join(f"{stage} {taken:.2f}" for stage, taken in stages.items())
            )
    for row in (imported, transferred):
        row.ours_values = [min(row.ours_values)]
        row.other_values = [min(row.other_values)]
    return [imported, transferred]


def first_job(
    way: Way, slurm: SlurmCluster, python: Path, *, lazily: bool
) -> tuple[float, dict[str, float]]:
    """Return the seconds from ``submit`` to the imports' end, and of each stage."""
    reading = way.reading(lazy="auto" if lazily else "never")
    with way.new_home({"hpc": reading}, slurm=slurm) as home:
        home.knows("hpc")
        work = home.state / "offload/sites/hpc/work"
        nodes.note(work, os.uname().nodename, time.time())
        (home.work / "script.py").write_text(SCRIPT)
        home.facility("snapshot", "create", python=python)
        begin = time.time()
        id_ = home.submit(
            "--site", "hpc", "--memory", "1G", "--outputs", "imported", "--", "python",
            "script.py", python=python,
        )  # fmt: skip
        home.facility("wait", id_)
        moment, is_lazy = (home.work / "imported").read_text().split()
        if (is_lazy == "True") is not lazily:
            raise AssertionError(f"lazily: expected {lazily}, got {is_lazy}")
        times, stages, before = home.job(id_)["times"], {}, begin
        for stage, at in times.items():
            stages[stage], before = at - before, at
    return float(moment) - begin, stages


if __name__ == "__main__":
    raise SystemExit(main())
