"""Packages whose names are loaded when somebody asks for them."""

import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = ("offload.cache", "offload.cache.reading", "offload.snapshot")


@pytest.mark.parametrize("name", PACKAGES)
def test_all_that_a_package_lists_is_there_and_nothing_else(name):
    package = import_module(name)
    for listed in package.__all__:
        assert getattr(package, listed).__name__ == listed
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        _ = package.nothing


def test_a_package_alone_loads_none_of_its_modules():
    code = f"import {', '.join(PACKAGES)}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {m for m in done.stdout.split() if m.startswith("offload.")}
    assert loaded == {*PACKAGES, "offload.lazy"}
