"""What the benchmark keeps outside the clone: samples, libraries, an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import platformdirs

from facility.columnar.adl import sample, writing
from facility.columnar.adl.writing import Format, write_sample

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "engines" / "on_dask_awkward.txt"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SUFFIXES = {Format.PARQUET: "parquet"}


def cache() -> Path:
    """Return the folder, which exists."""
    path = platformdirs.user_cache_path("analysis-facility") / "benchmarks"
    path.mkdir(parents=True, exist_ok=True)
    return path


def sample_of(
    events: int,
    *,
    compression: str = "zstd:5",
    basket_events: int = 100_000,
    form: Format = Format.TTREE,
) -> Path:
    """Return a file of made-up events, written if no run before has written it."""
    maker = b"".join(Path(str(m.__file__)).read_bytes() for m in (sample, writing))
    version = sha256(maker).hexdigest()[:12]
    codec = compression.replace(":", "")
    suffix = SUFFIXES.get(form, f"{form}.root")
    path = cache() / f"adl-{version}-{events}-{codec}-{basket_events}.{suffix}"
    if not path.exists():
        write_sample(
            path,
            events,
            compression=compression,
            basket_events=basket_events,
            form=form,
        )
    return path


def dask_awkward_python() -> Path:
    """Return the Python of dask-awkward's own environment, made if it is not there.

    dask-awkward needs an older Dask than ours.
    """
    content = REQUIREMENTS.read_bytes() + sys.version.encode()
    folder = cache() / f"dask-awkward-{sha256(content).hexdigest()[:16]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        run_uv("venv", "--clear", "--no-project", "--python", sys.executable, folder)
        run_uv("pip", "install", "--python", python, "--requirement", REQUIREMENTS)
        (folder / "complete").touch()
    return python


def run_uv(*arguments: str | Path) -> str:
    """Run the pinned uv, with the machine's own authorities; return what it prints."""
    find = HERE.parents[2] / ".ci" / "find-uv"
    uv = subprocess.run([find], stdout=subprocess.PIPE, text=True, check=True)
    trusted = {"SSL_CERT_FILE": str(AUTHORITIES)} if AUTHORITIES.exists() else {}
    return subprocess.run(
        [uv.stdout.strip(), "--quiet", *arguments],
        env=trusted | os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
