"""What computes a chunk: the CPU, or an NVIDIA GPU where there is one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import awkward as ak

from facility.errors import UsageError

Backend = Literal["cpu", "cuda", "auto"]
"""``auto``: what is measured to be faster; never a GPU that is not there."""

_DEVICE_FILES = "/dev/nvidiactl", "/dev/dxg"
"""Of the driver: on Linux, and in Windows' Linux."""


@dataclass
class Computing:
    """What a chunk is to be computed with, and what it was."""

    wanted: Backend
    used: Literal["cpu", "cuda"] = "cpu"


_current: ContextVar[Computing | None] = ContextVar("backend", default=None)


@contextmanager
def computing_with(wanted: Backend) -> Iterator[Computing]:
    """Say what is wanted of all that is computed inside, in this thread."""
    computing = Computing(wanted)
    token = _current.set(computing)
    try:
        yield computing
    finally:
        _current.reset(token)


def computing() -> Computing:
    """Return what is wanted here; ``auto`` where nobody has said so."""
    return _current.get() or Computing("auto")


def require_known(backend: str) -> None:
    """Raise a ``UsageError`` unless there is such a back end."""
    if backend not in get_args(Backend):
        expected = ", ".join(map(repr, get_args(Backend)))
        raise UsageError(f"backend={backend!r}: expected one of {expected}")


def require_cuda(package: str) -> None:
    """Raise a ``UsageError`` that says why, unless this process can use a GPU.

    Args:
        package: what is to drive it: ``numba_cuda`` for kernels, ``cupy`` for arrays.
    """
    absence = why_no_cuda(package)
    if absence:
        raise UsageError(
            f"backend='cuda' on {socket.gethostname()}: {absence}; backend='auto' "
            "takes the CPU where there is none"
        )


def where_wanted(array: ak.Array) -> ak.Array:
    """Return the array, moved to the GPU if that is demanded of what is computed here.

    Arrays are not moved by themselves: what is computed with them is not known.

    Raises:
        UsageError: it is demanded and there is none.
    """
    here = computing()
    if here.wanted != "cuda":
        return array
    require_cuda("cupy")
    here.used = "cuda"
    return ak.to_backend(array, "cuda")


@cache
def why_no_cuda(package: str) -> str:
    """Return why this process cannot use a GPU, in a few words; empty if it can."""
    # Where there is surely none, nothing heavy is imported to learn it.
    simulated = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0"
    if not simulated and not any(Path(f).exists() for f in _DEVICE_FILES):
        return "there is no NVIDIA GPU"
    if not simulated and find_spec(package) is None:
        name = package.replace("_", "-")
        return f"{name} is not installed: pip install 'analysis-facility[gpu]'"
    from numba import cuda

    answers = cuda.is_available()  # type: ignore[no-untyped-call]
    return "" if answers else "the NVIDIA driver does not answer"
