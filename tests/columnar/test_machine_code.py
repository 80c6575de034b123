"""What is compiled runs in a process that has no numba, or is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from facility.columnar.machine_code import OPTIONS, NotAloneError, find, load, named

ADDED = """
import sys
from facility.columnar.machine_code import find
print(find(sys.argv[1], 2)(40, 2), "numba" in sys.modules)
"""


def compiled(function, result, *arguments):
    import numba

    kinds = {int: numba.int64, float: numba.float64}
    signature = kinds[result](*(kinds[a] for a in arguments))
    return numba.njit(signature, **OPTIONS)(function)


@pytest.fixture(autouse=True)
def own_code_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_another_process_runs_it_without_numba():
    name = named("sum")
    assert find(name, 2) is None

    def added():
        return compiled(lambda a, b: a + b, int, int, int)

    assert load(name, 2, added)(-3, 1) == -2
    done = subprocess.run(
        [sys.executable, "-c", ADDED, name], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["42", "False"]


def test_what_calls_a_function_that_not_every_process_has_is_refused():
    def gamma():
        return compiled(lambda a: int(math.lgamma(a)), int, int)

    name = named("gamma")
    with pytest.raises(NotAloneError, match="needs .*gamma"):
        load(name, 1, gamma)
    assert find(name, 1) is None
