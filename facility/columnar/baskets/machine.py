"""The compiled decoder as machine code, loaded once per process."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

from facility.columnar.machine_code import (
    OPTIONS,
    Function,
    find,
    is_available,
    load,
    named,
)

__all__ = ["decoder", "is_available", "is_compiled"]


def is_compiled() -> bool:
    """Return whether :func:`decoder` takes a moment rather than seconds."""
    with _lock:
        if not _loaded and (found := find(_name(), 1)):
            _loaded.append(found)
        return bool(_loaded)


def decoder() -> Function:
    """Return the decoder, compiled now if no run before this one did.

    It takes the address of a request and returns a fault.

    Raises:
        ImportError: numba is not installed.
    """
    with _lock:
        if not _loaded:
            _loaded.append(load(_name(), 1, _compiled))
        return _loaded[0]


_lock = threading.Lock()
_loaded: list[Function] = []
"""None or one."""


@cache
def _name() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return named("decode", *(path.read_text() for path in sources))


def _compiled() -> Any:
    from numba import njit, types

    from facility.columnar.baskets.decoding import decode

    return njit(types.int64(types.int64), **OPTIONS)(decode.py_func)
