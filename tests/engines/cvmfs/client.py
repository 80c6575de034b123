"""The independent client of CernVM-FS: ``cvmfs`` of crates.io, built once.

``python tests/engines/cvmfs/client.py`` builds it if need be and prints where it is.
Some minutes of two cores, network, ``cargo`` and Debian's ``libfuse3-dev``; then it stays
in the user's cache, named after its version: with its own lock file it is built of the
same sources everywhere.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def running(
    built: Path, url: str, proxy: int, point: Path, cache: Path
) -> Iterator[None]:
    """Mount a repository, read through a proxy on loopback, as long as that is wanted."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
    }
    process = subprocess.Popen(
        [built, url, point, cache],
        env=environment | {"http_proxy": f"http://127.0.0.1:{proxy}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while not point.is_mount():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline, "it is not mounted"
            time.sleep(0.05)
        yield
    finally:
        subprocess.run(["fusermount3", "-u", "-z", point], check=False)
        process.kill()
        process.communicate()


if __name__ == "__main__":
    try:
        print(build())
    except RuntimeError as error:
        sys.exit(str(error))
