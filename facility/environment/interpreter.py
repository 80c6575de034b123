"""What an interpreter is: version, architecture, C library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from facility.environment.model import Interpreter, Libc

_PROBE = """\
import os, sys
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or "musl"
except (ValueError, OSError):
    libc = "musl"
print(sys.implementation.name, ".".join(map(str, sys.version_info[:3])) + sys.abiflags,
      os.uname().machine, libc, sys.base_prefix, sep="\\n")
"""
_PROBE_TIMEOUT_S = 30


class NoInterpreterError(ValueError):
    """There is no working Python below a prefix."""


def executable_of(prefix: Path) -> Path:
    """Return the Python of an environment.

    Raises:
        NoInterpreterError: there is none.
    """
    for name in ("python", "python3"):
        candidate = prefix / "bin" / name
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    got = "one without bin/python" if prefix.is_dir() else "none"
    raise NoInterpreterError(
        f"{prefix}: expected the directory of a Python environment, got {got}"
    )


def own_interpreter() -> Interpreter:
    """Describe the Python that runs this, in microseconds."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "musl"
    except (ValueError, OSError):  # musl has no such name
        libc = "musl"
    name, _, version = libc.partition(" ")
    return Interpreter(
        implementation=sys.implementation.name,
        version=".".join(map(str, sys.version_info[:3])) + sys.abiflags,
        machine=os.uname().machine,
        libc=Libc(name, version),
    )


def is_own(executable: Path) -> bool:
    """Tell whether that Python is the one that runs this (links resolved)."""
    return executable.resolve() == Path(sys.executable).resolve()


def ask_interpreter(executable: Path) -> tuple[Interpreter, Path]:
    """Run another Python and return what it is and its base prefix.

    It is asked rather than read from ``pyvenv.cfg``, whose version is that of the day
    the environment was made. It starts isolated and without ``site``: no code of
    the environment runs.

    Raises:
        NoInterpreterError: it does not run.
    """
    import subprocess  # only here: 10 ms that the usual path does not need

    try:
        answer = subprocess.run(
            [executable, "-I", "-S", "-c", _PROBE],
            capture_output=True,
            check=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
        ).stdout.splitlines()
        implementation, version, machine, libc, base = answer
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split())
        raise NoInterpreterError(f"{executable} does not run: {reason}") from error
    name, _, libc_version = libc.partition(" ")
    interpreter = Interpreter(
        implementation=implementation,
        version=version,
        machine=machine,
        libc=Libc(name, libc_version),
    )
    return interpreter, Path(base)
