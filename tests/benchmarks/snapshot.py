"""A freeze beside ``tar | zstd -1`` of the same tree, in one run; then after one change.

``python tests/benchmarks/snapshot.py [--rounds 3] [--files 50000] [--gigabytes 2]``

The sides alternate, each writes a file of its own on the same disk; medians decide. One
round that is not counted brings the tree into the disk's cache. Freezes run in processes
of their own, which tell their largest memory.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from machine import machine
from measurement import Bar, Measurement
from report import report

CODE_SHARE = 0.8
"""Of the files: pieces of the standard library, a few kB each, a tenth of the bytes. The
others are data, half of it noise, which no compressor makes smaller."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where; default: TMPDIR")
    parser.add_argument("--freeze", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.freeze:
        freeze_here(*arguments.freeze)
        return 0
    about = machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base = Path(folder)
        size = make_tree(base / "tree", arguments.files, arguments.gigabytes * 1e9)
        rows = measure(base, arguments.rounds)
    files = f"{arguments.files:,} files, {size / 1e9:.2f} GB"
    return report(rows, about, f"freezing {files}: medians of {arguments.rounds}")


def make_tree(root: Path, files: int, size: float) -> int:
    """Write code and data; return the bytes written."""
    chance = random.Random(1)
    library = Path(sysconfig.get_path("stdlib"))
    text = b"".join(path.read_bytes() for path in sorted(library.glob("*.py")))
    noise = chance.randbytes(16 << 20)
    code_mean = 0.1 * size / (files * CODE_SHARE)
    data_mean = 0.9 * size / (files * (1 - CODE_SHARE))
    written = 0
    for number in range(files):
        folder = root / f"d{number // 1000:03}" / f"e{number // 50 % 20:02}"
        folder.mkdir(parents=True, exist_ok=True)
        if chance.random() < CODE_SHARE:
            length = int(chance.expovariate(1 / code_mean)) + 1
            start = chance.randrange(len(text) - length)
            content, suffix = text[start : start + length], "py"
        else:
            length = min(int(chance.expovariate(1 / data_mean)) + 16, len(noise))
            start = chance.randrange(len(noise) - length // 2)
            content = b"\0data\0" + noise[start : start + length // 2]
            content += text[: length - len(content)]
            suffix = "bin"
        (folder / f"f{number:05}.{suffix}").write_bytes(content)
        written += len(content)
    return written


def measure(base: Path, rounds: int) -> list[Measurement]:
    """Alternate the two sides."""
    # A speed at least 0.7 times the other's is a time at most 1 / 0.7 times it.
    first = Measurement("first freeze", "s", Bar(1 / 0.7), "tar | zstd -1")
    again = Measurement("one file changed", "s", Bar(0.1), "first freeze")
    moved = Measurement("bytes moved by it", "MB", Bar(0.01), "first freeze")
    memory = Measurement("largest memory", "MB", Bar(300, of_ratio=False))
    for number in range(rounds + 1):
        theirs_s = tar_and_zstd(base)
        store = base / f"store {number}"
        one = freeze_there(base / "tree", store)
        changed = base / "tree" / "d000" / "e00" / "f00000.py"
        changed.write_bytes(b"# round %d\n" % number)
        time.sleep(2.1)  # a file so young would not be remembered
        two = freeze_there(base / "tree", store)
        subprocess.run(["rm", "-r", store], check=True)
        if number == 0:
            continue
        first.add(False, theirs_s)
        first.add(True, one["seconds"])
        again.add(True, two["seconds"])
        again.add(False, one["seconds"])
        moved.add(True, (two["stored"] - one["stored"]) / 1e6)
        moved.add(False, one["stored"] / 1e6)
        memory.add(True, max(one["memory"], two["memory"]) / 1e6)
    return [first, again, moved, memory]


def tar_and_zstd(base: Path) -> float:
    """Return the seconds that ``tar | zstd -1`` takes."""
    packed = base / "packed.tar.zst"
    begun = time.perf_counter()
    subprocess.run(
        f"tar -C '{base}/tree' -cf - . | zstd -1 -q > '{packed}'",
        shell=True,
        check=True,
    )
    seconds = time.perf_counter() - begun
    packed.unlink()
    return seconds


def freeze_there(root: Path, store: Path) -> dict[str, float]:
    """Freeze in a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, "--freeze", root, store],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout)


def freeze_here(root: Path, folder: Path) -> None:
    """Freeze, and print seconds, bytes in the store and the largest memory."""
    from offload.snapshot import LocalStore, Request, freeze

    begun = time.perf_counter()
    store = LocalStore(folder)
    freeze(Request(root), store)
    seconds = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "seconds": seconds,
                "stored": sum(store.blob(each).size for each in store.digests()),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
