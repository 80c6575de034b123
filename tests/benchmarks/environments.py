"""How soon a job at a site has its published environment, 20 ms away from a squid.

``python tests/benchmarks/environments.py [--rounds 3] [--only start|shares]
[--arrow] [--folder FOLDER]``

``start``: ``import numpy, pandas, awkward`` with a bundle of what such a start has read
before, from the order to mount on, in each of these: from a cold site cache, which does
not know the repository at all; from a *warm* one, which has all that the job needs on
its disk and mounts it anew: that is what the cold start is held against; and, printed
beside, once more in the same mount, from the kernel's own memory. Beside them a cold
start without a bundle, and one with the whole tree first.

``shares``: a job that reads 5, 30, 60 and 100 % of the files, from a cold cache: the
whole tree first, lazily, and lazily with a bundle; and which of them is chosen.

The environment is made of this interpreter's own packages; squid has all of it, the site
nothing. Sides alternate, and the best round of each counts: others' work only adds.
Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib.metadata
import itertools
import py_compile
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from machine import machine
from measurement import NOT_JUDGED, Bar, Measurement
from report import report

from offload.cache.cvmfs.items import read_folder
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.shelf import Shelf
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.cache.reading.bundles import path_of
from offload.cache.reading.choosing import Amount, Situation, Way, choose
from offload.cache.reading.mounting import Mount
from offload.cache.reading.traces import Trace
from offload.snapshot.tree import Kind
from tests.engines.sitecache import engines

FQRN = "environments.example.org"
IMAGE = f"sha256:{'ab' * 32}"
DELAY_MS = 20
PACKAGES = ("numpy", "pandas", "awkward", "matplotlib", "hist")
FEW_PACKAGES = ("numpy",)
"""Every file of them is read one by one, a round trip each: that takes a minute."""
IMPORTS = "import numpy, pandas, awkward"
SHARES = (0.05, 0.3, 0.6, 1.0)
_FAR = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where; default: TMPDIR")
    parser.add_argument("--only", choices=["start", "shares"])
    parser.add_argument(
        "--arrow",
        action="store_true",
        help="with pyarrow (170 MB), which pandas imports",
    )
    arguments = parser.parse_args()
    rows: list[Measurement] = []
    about = machine()
    for name, measure, packages in (
        ("start", start_rows, (*PACKAGES, *(["pyarrow"] if arguments.arrow else []))),
        ("shares", share_rows, FEW_PACKAGES),
    ):
        if arguments.only not in {None, name}:
            continue
        with (
            tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
            Site(Path(folder), packages) as site,
        ):
            print(f"{name}: {site.amount.files} files, {site.amount.size / 1e6:.0f} MB")
            rows += measure(site, arguments.rounds)
    return report(rows, about, "environments at a site")


class Site:
    """A repository of one environment, a squid that has it, and cold caches."""

    def __init__(self, folder: Path, packages: tuple[str, ...]) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        stage(folder / "staged", packages)
        items = list(read_folder(folder / "staged"))
        self.files = [one for one in items if one.kind is Kind.FILE]
        self.amount = Amount(len(self.files), sum(one.size for one in self.files))
        keys = Keys.generate(FQRN, datetime.now(UTC))
        self.repository = Repository(folder / "repository", FQRN, keys).create()
        hexed = IMAGE.removeprefix("sha256:")
        with self.repository.transaction() as transaction:
            transaction.put_tree(f"/.flat/{hexed[:2]}/{hexed}".encode(), items)
            transaction.commit()
        (folder / "master.pub").write_bytes(keys.master.public)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            origin = engines.Origin(self.repository.public)
            stack.callback(origin.close)
            squid = stack.enter_context(engines.squid(self.folder / "squid"))
            slow = stack.enter_context(engines.delayed(squid, DELAY_MS))
            self.settings = RepositorySettings(
                fqrn=FQRN,
                urls=(origin.url,),
                proxies=(f"http://127.0.0.1:{slow}",),
                master_keys=(self.folder / "master.pub",),
                refresh_s=0,
            )
            with self.cold() as cache:
                cache.image(IMAGE)  # squid has all of it from now on
                self.pace = cache.pace
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @contextlib.contextmanager
    def cold(self) -> Iterator[RepositoryCache]:
        """Yield a cache that has nothing."""
        folder = self.folder / f"site-{next(self.numbers)}"
        with RepositoryCache(folder, self.settings) as cache:
            yield cache
        shutil.rmtree(folder)

    @contextlib.contextmanager
    def mounted(self, cache: RepositoryCache) -> Iterator[Path]:
        where = cache.folder / "mounted"
        where.mkdir(exist_ok=True)
        with Mount(cache, IMAGE, where):
            yield where

    def publish_bundle(self, trace: Trace | None) -> None:
        """Publish what was read as a bundle, or take the bundle away."""
        if trace is not None:
            publish_bundle(Shelf(self.repository, "amd64"), IMAGE, trace)
        else:
            with self.repository.transaction() as transaction:
                transaction.remove(path_of(IMAGE))
                transaction.commit()
        time.sleep(1.1)  # the life of a manifest in squid
        with self.cold() as cache:
            cache.bundle(IMAGE)  # squid has it now

    def started(self, cache: RepositoryCache) -> Iterator[float]:
        """Yield how long a job takes, mounting included; then again in that mount."""
        begun = time.perf_counter()
        with self.mounted(cache) as where:
            importing(where)
            yield time.perf_counter() - begun
            while True:
                yield seconds_of(lambda: importing(where))


def start_rows(site: Site, rounds: int) -> list[Measurement]:
    """Measure starts with a bundle, cold and warm; others beside them."""
    times: dict[str, list[float]] = defaultdict(list)
    with site.cold() as cache:
        with site.mounted(cache) as where:
            importing(where)
        trace = cache.trace(IMAGE)
    site.publish_bundle(trace)
    print(f"a start reads {len(trace)} objects, {trace.size / 1e6:.0f} MB")
    for number in range(rounds):
        with site.cold() as cache:
            for way in ("cold", "warm", "warm"):
                with contextlib.closing(site.started(cache)) as starts:
                    times[way].append(next(starts))
                    times["same mount"] += [next(starts), next(starts)]
        if number % 2 == 0:
            with site.cold() as cache:
                times["whole tree first"].append(
                    seconds_of(lambda c=cache: importing(c.image(IMAGE)))
                )
    site.publish_bundle(None)
    with site.cold() as cache, contextlib.closing(site.started(cache)) as starts:
        times["without a bundle"].append(next(starts))
    best = {way: min(values) for way, values in times.items()}
    rows = []
    for way, other, bar in (
        ("cold", "warm", Bar(1.5)),
        ("cold", "same mount", NOT_JUDGED),
        ("without a bundle", "warm", NOT_JUDGED),
        ("whole tree first", "warm", NOT_JUDGED),
    ):
        row = Measurement(f"{IMPORTS}: {way} beside {other}", "s", bar, other)
        row.add(True, best[way])
        row.add(False, best[other])
        rows.append(row)
    return rows


def share_rows(site: Site, rounds: int) -> list[Measurement]:
    """Measure jobs that read a share of all files, each way; judge what is chosen."""
    rows: list[Measurement] = []
    for share in SHARES:
        rng = random.Random(share)
        wanted = rng.sample(site.files, round(share * len(site.files)))
        listing = site.folder / "wanted"
        listing.write_bytes(b"\n".join(one.path for one in wanted))
        read = Amount(len(wanted), sum(one.size for one in wanted))
        seconds: dict[str, list[float]] = defaultdict(list)
        site.publish_bundle(None)
        for number in range(rounds):
            seconds["whole"].append(whole_seconds(site, listing))
            # What takes a minute and loses by far is not tried again.
            if number == 0 or min(seconds["lazy"]) < _FAR * min(seconds["whole"]):
                taken, trace = lazy_seconds(site, listing)
                seconds["lazy"].append(taken)
        site.publish_bundle(trace)
        for _ in range(rounds):
            seconds["bundle"].append(lazy_seconds(site, listing)[0])
            seconds["whole"].append(whole_seconds(site, listing))
        best = {way: min(times) for way, times in seconds.items()}
        for lazy, has_bundle in (("lazy", False), ("bundle", True)):
            situation = Situation(
                site.amount,
                site.amount,
                read,
                site.pace,
                site.settings.connections,
                has_bundle,
                can_mount=True,
            )
            choice = choose(situation)
            chosen = best["whole" if choice.way is Way.WHOLE else lazy]
            print(
                f"{share:.0%}{' with a bundle' if has_bundle else ''}: whole "
                f"{best['whole']:.2f} s (estimated {choice.whole_s:.2f}), lazily "
                f"{best[lazy]:.2f} s (estimated {choice.lazy_s:.2f}): {choice.way}"
            )
            row = Measurement(
                f"{share:.0%} read{', with a bundle' if has_bundle else ''}: chosen",
                "s",
                Bar(1.2),
                other="the better",
            )
            row.add(True, chosen)
            row.add(False, min(best["whole"], best[lazy]))
            rows.append(row)
    return rows


def whole_seconds(site: Site, listing: Path) -> float:
    """Return how long a cold job takes that reads the listed files of a whole tree."""
    with site.cold() as cache:
        begun = time.perf_counter()
        where = cache.image(IMAGE)
        assert where is not None
        reading(where, listing)
        return time.perf_counter() - begun


def lazy_seconds(site: Site, listing: Path) -> tuple[float, Trace]:
    """Return how long the same takes from a mount, and what was read."""
    with site.cold() as cache:
        begun = time.perf_counter()
        with site.mounted(cache) as where:
            reading(where, listing)
            taken = time.perf_counter() - begun
        return taken, cache.trace(IMAGE)


def seconds_of(job: Callable[[], None]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def importing(where: Path) -> None:
    """Run the imports from an environment, and from nowhere else."""
    code = f"import sys; sys.path.append(sys.argv[1]); {IMPORTS}"
    run("-I", "-S", "-c", code, str(where))


def reading(where: Path, listing: Path) -> None:
    """Read the listed files of an environment, one after the other."""
    code = (
        "import sys\n"
        "for name in open(sys.argv[2], 'rb').read().split(b'\\n'):\n"
        "    open(sys.argv[1].encode() + b'/' + name, 'rb').read()"
    )
    run("-I", "-S", "-c", code, str(where), str(listing))


def run(*arguments: str) -> None:
    subprocess.run([sys._base_executable, *arguments], check=True)


def stage(folder: Path, packages: tuple[str, ...]) -> None:
    """Copy installed packages, with all that they need, and compile them."""
    for distribution in closure(packages):
        for file in distribution.files or ():
            source = Path(distribution.locate_file(file))
            target = folder / file
            if ".." in file.parts or not source.is_file():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    compileall.compile_dir(
        folder,
        quiet=2,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def closure(packages: tuple[str, ...]) -> list[importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(packages)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if name not in found:
                found[name] = importlib.metadata.distribution(name)
                lines = found[name].requires or ()
                needed = [line for line in lines if "extra ==" not in line]
                waiting += [re.split(r"[^\w.-]", line)[0] for line in needed]
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
