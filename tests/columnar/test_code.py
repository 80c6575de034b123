"""Equal code, equal digest; anything that changes the result changes it."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from facility.columnar.code import code_digest

SOURCE = """
import numpy as np
CUT = {cut}
def select(x, low={low}):
    return x > low
def analysis(events):
    kept = [y for y in events if y in {{1, 2, "a"}} and y > CUT]
    return np.sum(select(kept)) {operator} 1
"""


def digest(cut=20, low=1, operator="+"):
    namespace = {"__name__": "notebook"}
    exec(SOURCE.format(cut=cut, low=low, operator=operator), namespace)
    return code_digest(namespace["analysis"])


def test_the_same_source_has_the_same_digest():
    assert digest() == digest()


@pytest.mark.parametrize("change", [{"cut": 21}, {"low": 2}, {"operator": "-"}])
def test_a_change_that_matters_changes_the_digest(change):
    assert digest(**change) != digest()


def test_another_process_finds_the_same_digest():
    script = f"""
from facility.columnar.code import code_digest
namespace = {{"__name__": "notebook"}}
exec({SOURCE.format(cut=20, low=1, operator="+")!r}, namespace)
print(code_digest(namespace["analysis"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest()


def test_closures_and_partials_count():
    def cut_at(value):
        return lambda x: x > value

    assert code_digest(cut_at(1)) != code_digest(cut_at(2))
    assert code_digest(cut_at(1)) == code_digest(cut_at(1))
    tables = [np.array([1.0, 2.0]), np.array([1.0, 3.0])]
    assert code_digest(cut_at(tables[0])) != code_digest(cut_at(tables[1]))
    assert code_digest(partial(digest, cut=1)) != code_digest(partial(digest, cut=2))


def test_a_recursive_function_ends():
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    assert code_digest(factorial) == code_digest(factorial)


def test_functions_of_packages_count_by_name():
    names = [code_digest(f) for f in (np.sum, np.mean, np.add, np.subtract, len)]
    assert len(set(names)) == len(names)
