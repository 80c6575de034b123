"""How large the locked environment is, and how quickly it is described."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

ROOT = Path(__file__).parents[2]

DESCRIBE = """
import time
start = time.perf_counter()
from facility.environment import describe
describe()
print(time.perf_counter() - start)
"""


def locked(lock: Path) -> list[str]:
    """Return the names of distributions in a lock file."""
    return re.findall(r"^([a-z0-9._-]+)==", lock.read_text(), re.MULTILINE)


def megabytes(names: list[str]) -> float:
    """Return the size on disk of distributions here, with their bytecode, in MB.

    A distribution that this Python does not need counts nothing.
    """
    paths: set[Path] = set()
    for name in names:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        located = {Path(file.locate()).resolve() for file in files}
        paths |= located
        paths |= {
            Path(cache_from_source(str(path)))
            for path in located
            if path.suffix == ".py"
        }
    return sum(path.stat().st_blocks for path in paths if path.is_file()) * 512 / 1e6


def base_megabytes() -> float:
    """Return the size of the base in ``.venv``."""
    return megabytes(locked(ROOT / "requirements.lock"))


def kernels_megabytes() -> float:
    """Return what compiled event loops (LLVM) add to the base."""
    base = {*locked(ROOT / "requirements.lock")}
    names = locked(ROOT / "requirements-kernels.lock")
    return megabytes([name for name in names if name not in base])


def describe_seconds() -> float:
    """Return import and warm ``describe()`` in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
