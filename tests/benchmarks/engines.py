"""The engines that tests run, for benchmarks: modules of ``tests/engines`` by path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parents[1] / "engines"


def load(name: str) -> ModuleType:
    """Load one, ``slurm/cluster`` for example."""
    key = f"engines_{name.replace('/', '_')}"
    spec = importlib.util.spec_from_file_location(key, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses look there for their module
    spec.loader.exec_module(module)
    return module
