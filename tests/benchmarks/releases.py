"""Environments of real releases: what people who analyse keep, and what they update.

The base is what coffea needs, with what is common beside it: numpy, scipy, pandas, numba,
pyarrow, matplotlib ... as they were on one day. What differs is Scikit-HEP's own layer of
it, which releases every few weeks, and of which analyses take a new release for the one
thing that it mends: successive releases of a year, each environment with a choice of its
own. Nearly all of their files are Python, and most of those are the same from one to the
next, which is hardest on whoever keeps whole packages.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from adl.environment import cache, run_uv

_LISTED = {
    "awkward": "2.8.7 2.8.8 2.8.9 2.8.10 2.8.11 2.8.12",
    "uproot": "5.6.5 5.6.6 5.6.7 5.6.8 5.6.9 5.7.0 5.7.1 5.7.2",
    "hist": "2.8.1 2.9.0 2.9.1 2.9.2 2.10.0 2.10.1",
    "coffea": "2025.7.3 2025.9.0 2025.10.0 2025.10.1 2025.10.2 2025.11.0 2025.12.0",
    "vector": "1.6.2 1.6.3 1.7.0 1.8.0 1.8.1",
}
RELEASES = {name: listed.split() for name, listed in _LISTED.items()}
COMPILED = dict(zip(RELEASES["awkward"], (48, 49, 50, 50, 51, 51), strict=True))
"""Which awkward-cpp each awkward names; it comes along."""
ALIKE = ("numpy", "scipy", "pandas", "numba", "matplotlib", "iminuit")
DAY = "2026-06-01"


def make_environments_of_releases(base: Path, number: int) -> list[Path]:
    """Install what a public index has; downloads stay in the benchmarks' cache."""
    downloads = ("--cache-dir", cache() / "downloads")
    chance = random.Random(1)
    newest = {name: releases[-1] for name, releases in RELEASES.items()}
    wanted = base / "wanted.txt"
    wanted.write_text("\n".join((*ALIKE, *pins(newest))))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    compiled = run_uv(
        *("pip", "compile", wanted, *downloads, "--no-header", "--no-annotate"),
        *("--exclude-newer", DAY, "--python-version", version),
    )
    alike = set(compiled.split()) - set(pins(newest))
    prefixes = []
    for each in range(number):
        prefix = base / f"environment{each}"
        chosen = {name: chance.choice(known) for name, known in RELEASES.items()}
        run_uv("venv", "--no-project", "--python", sys.executable, prefix)
        run_uv(
            *("pip", "install", *downloads, "--no-deps", "--python", prefix),
            *alike.union(pins(chosen)),
        )
        prefixes.append(prefix)
    return prefixes


def pins(releases: dict[str, str]) -> list[str]:
    """Return what an installer is told."""
    return [
        *(f"{name}=={release}" for name, release in releases.items()),
        f"awkward-cpp=={COMPILED[releases['awkward']]}",
    ]
