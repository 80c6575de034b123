"""Equal code, equal digest; anything that changes the result changes it."""

import importlib
import subprocess
import sys
from functools import partial

import cloudpickle
import hist
import numpy as np
import pytest

from facility.columnar.code import code_digest
from facility.columnar.fused import kernel

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
from facility.columnar.fused import kernel
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


class Selection:
    """A callable object, as processors are."""

    def __init__(self, cut):
        self.cut = cut

    def __call__(self, events):
        return self.passing(events)

    def passing(self, events):
        return events > self.cut


OBJECT = """
class Selection:
    "{doc}"
    unit = {unit!r}
    @staticmethod
    def loose(x):
        return x > {cut}
    def __call__(self, events):
        return self.loose(events)
analysis = Selection()
"""


def test_objects_count_by_their_class_and_their_values():
    assert code_digest(Selection(1)) == code_digest(Selection(1))
    assert code_digest(Selection(1)) != code_digest(Selection(2))
    assert code_digest(Selection(1).passing) != code_digest(Selection(2).passing)
    digests = []
    for change in ({}, {"doc": "b"}, {"unit": "MeV"}, {"cut": 2}):
        namespace = {"__name__": "notebook"}
        exec(OBJECT.format(**{"doc": "a", "unit": "GeV", "cut": 1} | change), namespace)
        digests.append(code_digest(namespace["analysis"]))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    "changed",
    [
        hist.Hist.new.Reg(10, 0, 101, name="m").Weight(),
        hist.Hist.new.Reg(10, 0, 100, name="x").Weight(),
        hist.Hist.new.Reg(10, 0, 100, name="m", label="mass").Weight(),
        hist.Hist.new.Reg(10, 0, 100, name="m").Double(),
        hist.Hist.new.Reg(10, 0, 100, name="m").Weight().fill([1]),
    ],
    ids=["edge", "name", "label", "storage", "content"],
)
def test_histograms_count_by_all_that_they_are(changed):
    template = hist.Hist.new.Reg(10, 0, 100, name="m").Weight()

    def filling(template):
        return lambda events: template.copy().fill(events)

    assert code_digest(filling(template)) == code_digest(filling(template.copy()))
    assert code_digest(filling(template)) != code_digest(filling(changed))


def test_what_says_itself_what_it_is_made_of_is_taken_at_its_word():
    class Body:
        def __init__(self, source, line):
            self.source, self.line = source, line

        def digest_parts(self):
            return (self.source,)

    assert code_digest(Body("x", 1)) == code_digest(Body("x", 2))
    assert code_digest(Body("x", 1)) != code_digest(Body("y", 1))


def test_modules_that_are_not_installed_count_by_content(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    digests = set()
    for cut in (1, 2):
        (tmp_path / "my_cuts.py").write_text(f"def select(x): return x > {cut}")
        importlib.invalidate_caches()
        my_cuts = importlib.import_module("my_cuts")
        digests.add(code_digest(lambda events, select=my_cuts.select: select(events)))
        del sys.modules["my_cuts"]
    assert len(digests) == 2


def muons_above(threshold, edges=(0, 100)):
    @kernel(pt=hist.Hist.new.Reg(20, *edges, name="pt").Weight())
    def hard_muons(event, pt):
        for muon in event.Muon:
            if muon.pt > threshold:
                pt.fill(muon.pt)

    return hard_muons


def other_muons(threshold, edges=(0, 100)):
    @kernel(pt=hist.Hist.new.Reg(20, *edges, name="pt").Weight())
    def hard_muons(event, pt):
        for muon in event.Muon:
            if muon.pt >= threshold:
                pt.fill(muon.pt)

    return hard_muons


def moved_muons(threshold, edges=(0, 100)):
    @kernel(pt=hist.Hist.new.Reg(20, *edges, name="pt").Weight())
    def hard_muons(event, pt):
        for muon in event.Muon:
            if muon.pt > threshold:
                pt.fill(muon.pt)

    return hard_muons


def test_kernels_count_by_body_captured_values_and_axes():
    digest = code_digest(muons_above(30))
    assert code_digest(muons_above(30)) == digest
    assert code_digest(cloudpickle.loads(cloudpickle.dumps(muons_above(30)))) == digest
    assert code_digest(moved_muons(30)) == digest
    assert code_digest(muons_above(31)) != digest
    assert code_digest(muons_above(30, edges=(0, 101))) != digest
    assert code_digest(other_muons(30)) != digest


class Maker:
    """Says what it consists of by objects that nobody else keeps."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def digest_parts(self):
        return ([number] for number in self.numbers)


def test_parts_made_on_the_way_count_wherever_they_were_in_memory():
    digests = {code_digest(Maker(*range(8), number)) for number in range(5)}
    assert len(digests) == 5
