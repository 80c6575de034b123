"""Names of a package, each loaded with its module when somebody asks for it first.

Who imports one module of a package must not pay for all of them: a third of a second of
every job that starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return what looks names up as a package's ``__getattr__`` (PEP 562).

    Args:
        package: its ``__name__``.
        names: by module, relative to the package; blanks between them.
    """
    modules = {name: module for module in names for name in names[module].split()}

    def look_up(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return look_up
