"""The independent client of CernVM-FS: ``cvmfs`` of crates.io, built once.

``python tests/engines/cvmfs/client.py`` builds it if need be and prints where it is.
Some minutes of two cores, network, ``cargo`` and Debian's ``libfuse3-dev``; then it stays
in the user's cache, named after its version: with its own lock file it is built of the
same sources everywhere.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

VERSION = "0.4.2"
INSTALL = ["install", "cvmfs", "--version", f"={VERSION}", "--locked", "--force"]


def cargo() -> str | None:
    """Return the build tool: the one of rustup first, as distributions' are older."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return shutil.which("cargo", path=home / "bin") or shutil.which("cargo")


def place() -> Path:
    """Return where the client is, or will be."""
    folder = platformdirs.user_cache_path("analysis-facility") / "engines"
    return folder / f"cvmfs-{VERSION}" / "bin" / "cvmfs-cli"


def build() -> Path:
    """Return the client; who comes while another one builds it waits.

    Raises:
        RuntimeError: there is no build tool, or the build failed.
    """
    client = place()
    root = client.parent.parent
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if client.exists():
            return client
        if (tool := cargo()) is None:
            raise RuntimeError("cargo is missing: it builds the client of CernVM-FS")
        done = subprocess.run(
            [tool, *INSTALL, "--root", root, "--target-dir", root / "target"],
            env={"CARGO_NET_RETRY": "10", **os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(root / "target", ignore_errors=True)
        if done.returncode != 0:
            raise RuntimeError(f"the client was not built:\n{done.stderr[-3000:]}")
    return client


if __name__ == "__main__":
    try:
        print(build())
    except RuntimeError as error:
        sys.exit(str(error))
