"""What publishing into a repository costs, beside what cannot be done without.

``python tests/benchmarks/repository.py [--rounds 3] [--files 200000] [--only NAME...]``

- *first*: an environment of some 300 MB, from this one's packages, is published for the
  first time; beside it ``zlib`` compresses the same bytes on all cores. The sides
  alternate, medians decide; files are in the disk's cache on both sides.
- *change*: to that environment a small layer is added and a new image published.
- *many*: a tree of 200,000 files; one file, ten and a hundred in ten folders are changed.
  Beside it a tree of a tenth of the files: the same change must cost about the same.
  What is looked up is compared the same way, in processor time: the best of five. Each
  in a process that tells its memory.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from machine import machine
from measurement import Bar, Measurement
from report import report

from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.snapshot.tree import Kind

FQRN = "environments.example.org"
PACKAGES = (
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "awkward",
    "awkward_cpp",
    "uproot",
)
PACKAGES += ("iminuit", "hist", "boost_histogram", "fsspec", "pillow", "fonttools")
LAYER = b"/.layers/%02x/%064x/layerfs"
IMAGE = b"/.flat/%02x/%064x"


SMALL = {
    99: [
        Item(
            b"env/lib/python3/site-packages/changed.py",
            Kind.FILE,
            0o644,
            15,
            content=b"changed = True\n",
        )
    ]
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=200_000)
    parts = ("first", "change", "many")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--folder", type=Path, help="where; default: TMPDIR")
    parser.add_argument("--tree", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tree:
        print(json.dumps(tree_here(Path(arguments.tree[0]), int(arguments.tree[1]))))
        return 0
    rows: list[Measurement] = []
    about = machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base = Path(folder)
        if {"first", "change"} & set(arguments.only):
            rows += first(base, arguments.rounds)
        if "many" in arguments.only:
            rows += many(base, arguments.files, arguments.rounds)
    return report(rows, about, "publishing into a repository")


def create(folder: Path) -> Repository:
    return Repository(folder, FQRN, Keys.generate(FQRN, datetime.now(UTC))).create()


def package(name: str) -> list[Item]:
    return [
        Item(
            os.fsencode(f"env/lib/python3/site-packages/{path}"),
            Kind.FILE,
            0o644,
            place.stat().st_size,
            content=place,
        )
        for path in importlib.metadata.distribution(name).files or ()
        if ".." not in path.parts and "__pycache__" not in path.parts
        for place in [Path(path.locate())]
    ]


def publish(repository: Repository, number: int, layers: dict[int, list[Item]]) -> None:
    """Publish an image of layers, each by a number of its own."""
    with repository.transaction() as transaction:
        places = [LAYER % (key % 256, key) for key in layers]
        for place, items in zip(places, layers.values(), strict=True):
            if transaction.lookup(place) is None:
                transaction.put_tree(place, items)
        transaction.merge(IMAGE % (number % 256, number), places)
        transaction.commit()


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - wall, time.process_time() - processor


def first(base: Path, rounds: int) -> list[Measurement]:
    layers = dict(enumerate(map(package, PACKAGES)))
    paths = [item.content for items in layers.values() for item in items]
    size = sum(item.size for items in layers.values() for item in items)
    print(f"environment: {len(paths)} files, {size / 1e6:.0f} MB")
    wall = Measurement("first publication", "s", Bar(1.5), "zlib")
    cpu = Measurement("first publication, processor time", "s", Bar(1.5), "zlib")
    change = Measurement("a small change to it", "s", Bar(5, of_ratio=False), "-")
    again = Measurement("the same, once more", "s", Bar(5, of_ratio=False), "-")
    for number in range(-1, rounds):
        theirs = timed(lambda: compress_all(paths))
        repository = create(base / f"first{number}")
        ours = timed(lambda made=repository: publish(made, 0, layers))
        changed = timed(lambda made=repository: publish(made, 1, layers | SMALL))
        same = timed(lambda made=repository: publish(made, 1, layers | SMALL))
        if number >= 0:  # the first round brings the files into memory
            wall.add(True, ours[0])
            wall.add(False, theirs[0])
            cpu.add(True, ours[1])
            cpu.add(False, theirs[1])
            change.add(True, changed[0])
            again.add(True, same[0])
        # Nothing is removed before the end: ext4 goes round inodes that were freed a
        # moment ago, one by one, which would count for the next round.
    return [wall, cpu, change, again]


def compress_all(paths: list[Path]) -> None:
    """Compress files in pieces of 4 MiB, on all cores, the largest first."""
    pieces = [
        (path, offset, min(4 << 20, size - offset))
        for path in paths
        for size in [path.stat().st_size]
        for offset in range(0, size or 1, 4 << 20)
    ]
    pieces.sort(key=lambda piece: -piece[2])

    def compress(piece: tuple[Path, int, int]) -> int:
        path, offset, size = piece
        with path.open("rb", buffering=0) as file:
            return len(zlib.compress(os.pread(file.fileno(), size, offset), 6))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(compress, pieces))


def many(base: Path, files: int, rounds: int) -> list[Measurement]:
    names = ("one file changed", "ten files changed", "a hundred files changed")
    rows = [Measurement(n, "s", Bar(2), f"{files // 10} files") for n in names]
    lookup = Measurement("look-up", "µs", Bar(2), f"{files // 10} files")
    opened = Measurement("first look-up", "ms", Bar(2), f"{files // 10} files")
    memory = Measurement("memory", "MB", Bar(500, of_ratio=False), "-")
    seconds = Measurement("first publication", "s", Bar(600, of_ratio=False), "-")
    for number in range(rounds):
        for is_ours, count in ((True, files), (False, files // 10)):
            place = base / f"many{number}{is_ours}"
            command = [sys.executable, __file__, "--tree", place, str(count)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            for row, value in zip(rows, found["changes_s"], strict=True):
                row.add(is_ours, value)
            lookup.add(is_ours, found["lookup_us"])
            opened.add(is_ours, found["opened_ms"])
            if is_ours:
                memory.add(True, found["memory_mb"])
                seconds.add(True, found["first_s"])
            shutil.rmtree(place)
    for row in (*rows, lookup, opened, memory, seconds):
        row.name = f"{files} files: {row.name}"
    return [*rows, lookup, opened, memory, seconds]


def tree_here(folder: Path, files: int) -> dict[str, object]:
    """Publish a large tree, change it, look things up; tell what it cost."""
    repository = create(folder)

    def items() -> Iterator[Item]:
        for number in range(files):
            path = b"d%03d/e%02d/f%06d.py" % (
                number // 2000,
                number // 100 % 20,
                number,
            )
            content = b"number = %d\n" % (number % 5000)
            yield Item(path, Kind.FILE, 0o644, len(content), content=content)

    def put() -> None:
        with repository.transaction() as transaction:
            transaction.put_tree(b"/tree", items())
            transaction.commit()

    first_s, _ = timed(put)
    chance = random.Random(1)
    changes = []
    for count in (1, 10, 100):
        folders = min(count, 10)

        def change(count: int = count, folders: int = folders) -> None:
            with repository.transaction() as transaction:
                for number in range(count):
                    where = number % folders % (files // 2000)
                    path = b"/tree/d%03d/e00/n%d" % (where, number)
                    content = b"%d" % chance.randrange(1 << 40)
                    item = Item(b"", Kind.FILE, 0o644, len(content), content=content)
                    transaction.put(path, item)
                transaction.commit()

        changes.append(min(timed(change)[1] for _ in range(5)))
    path = b"/tree/d%03d/e07/f%06d.py" % (3, 6750)
    opened = min(
        timed(lambda: repository.namespace().lookup(path))[1] for _ in range(5)
    )
    namespace = repository.namespace()
    assert namespace.lookup(path) is not None
    turns = min(
        timed(lambda: [namespace.lookup(path) for _ in range(2000)])[1]
        for _ in range(5)
    )
    return {
        "first_s": first_s,
        "changes_s": changes,
        "lookup_us": turns / 2000 * 1e6,
        "opened_ms": opened * 1e3,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
