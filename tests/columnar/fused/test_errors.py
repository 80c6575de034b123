"""What does not compile is one line: where, what is written there, why, what to do."""

from __future__ import annotations

import linecache
import math
import textwrap

import awkward as ak
import hist
import numpy as np
import pytest

from facility.columnar import Dataset, MissingBranchError
from facility.columnar.columns import Column
from facility.columnar.fused import KernelError, kernel
from facility.errors import UsageError
from tests.columnar.fused.made_events import events_of, made

PLAIN = hist.Hist.new.Reg(10, 0, 100, name="x").Double()


def body(text: str, name: str = "cell.py", **names):
    """Define a kernel's function as a notebook does: its source is in linecache only."""
    source = (
        f"def analysis(event, h):\n{textwrap.indent(textwrap.dedent(text), '    ')}"
    )
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = {"math": math, "np": np, "__name__": "__main__", **names}
    exec(compile(source, name, "exec"), namespace)
    return namespace["analysis"]


def refused(text: str, template=PLAIN, **names) -> str:
    with pytest.raises((KernelError, MissingBranchError)) as caught:
        kernel(h=template)(body(text, **names)).program(made(1, 3))
    message = str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert "\n" not in message
    return message


def recursive(n):
    return recursive(n - 1)


def may_return_none(jet):  # noqa: RET503 - that is what is wrong
    if jet.pt > 3:
        return 1.0


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("jets = [j for j in event.Jet]", 2, "a list"),
        ("x = 1\nwith open('f') as f: pass", 3, "with is not in the language"),
        ("try: pass\nexcept ValueError: pass", 2, "try is not"),
        ("f = lambda x: x", 2, "lambda is not"),
        ("assert event.x", 2, "assert is not"),
        ("import numpy", 2, "at the top of the file"),
        ("def inner(): pass", 2, "define it at the top"),
        ("h.fill(f'{event.x}')", 2, "a formatted text"),
        ("x = {}", 2, "a dict is not"),
        ("print(event.x)", 2, "print is not among the functions"),
        ("h.fill(sorted(event.scales))", 2, "sorted is not among"),
        ("h.fill(undefined)", 2, "'undefined' is not defined"),
        ("h.fill(x)\nx = 1", 2, "'x' is not defined"),
        ("return 3", 2, "a kernel returns nothing"),
        ("for j in event.Jet: pass\nelse: pass", 2, "else after a loop"),
        ("for x in event.x: pass", 2, "a number is not looped over"),
        ("event.x = 3", 2, "read, not written"),
        ("for j in event.Jet: j.pt += 1", 2, "read, not written"),
        ("h.fill(event.Jet)", 2, "expected a number, got the collection Jet"),
        ("for j in event.Jet: h.fill(j)", 2, "got one Jet"),
        ("for j in event.Jet: h.fill(j.ptt)", 2, "has no 'ptt': did you mean pt"),
        ("for j in event.Jet: h.fill(j.vertex)", 2, "one Jet has no 'vertex'"),
        ("h.fill(event.Jet.pt)", 2, "collection Jet has no 'pt': it is looped over"),
        ("h.fill(event.MET.mass)", 2, "MET has no four-momentum"),
        ("h.fill(1, 2)", 2, "h has 1 axes, got 2 values"),
        ("h.fill()", 2, "h has 1 axes, got 0 values"),
        ("h.fill(1, weigth=2)", 2, "no keyword 'weigth': expected x, weight"),
        ("h.reset()", 2, "histogram h has no 'reset': it is filled, nothing else"),
        ("h.fill(math.gamma(event.x))", 2, "math.gamma is not among the functions"),
        ("h.fill(math.nothing)", 2, "has no 'nothing'"),
        ("for a, b in event.Jet: pass", 2, "expected 2 values, got one Jet"),
        ("for a in event.Jet.combinations(5): pass", 2, "of 2, 3 or 4 objects"),
        ("pairs = event.Jet.pairs()", 2, "cannot be kept in a variable"),
        ("x = 1\nx = event.MET", 3, "holds one scalar and elsewhere one object"),
        ("if event.MET: pass", 2, "expected something true or false, got one MET"),
        ("h.fill(event.Jet[0.5].pt)", 2, "an integer in brackets"),
        ("h.fill(event.Jet[:2])", 2, "slices are not in the language"),
        ("h.fill(event.x & 1)", 2, "works on integers and truth values"),
        ("for j in event.Jet: h.fill((j + event.x).pt)", 2, "expected an object or a"),
        ("h.fill(event.MET < event.x)", 2, "expected a number to the left"),
        ("for a, b in event.Jet.pairs():\n    if a == b: pass", 3, "write `is`"),
        ("h.fill(recursive(3))", None, "calls itself"),
        ("for j in event.Jet: h.fill(may_return_none(j))", 2, "may return None"),
        ("h.fill(may_return_none(1, 2))", 2, "takes 1 arguments, got 2"),
        ("h.fill(may_return_none())", 2, "needs jet too"),
        ("x = 10**30", 2, "at most 18|constant powers"),
        ("x = 99999999999999999999", 2, "integers have 64 bits"),
        ("for i in range(0, 9, event.small): pass", 2, "step of range"),
        ("x = yield", 2, "yield is not"),
        ("h.fill(event.weigth)", 2, "did you mean weight"),
    ],
)
def test_what_does_not_compile_says_where_and_why(text, line, reason):
    helpers = {"recursive": recursive, "may_return_none": may_return_none}
    message = refused(text, **helpers)
    if line is not None:
        assert message.startswith(f"cell.py:{line}: `")
    assert any(one in message for one in reason.split("|"))
    if "did you mean weight" not in reason:
        assert "does not compile" in message
        assert "array style" in message


@pytest.mark.parametrize(
    ("template", "text", "reason"),
    [
        (hist.Hist.new.Reg(9, 0, 1, growth=True).Double(), "", "growing axes"),
        (hist.Hist.new.StrCat([], growth=True).Double(), "", "growing axes"),
        (hist.Hist.new.Reg(9, 0, 1).Mean(), "", "storages Double, Int64 and Weight"),
        (hist.Hist.new.Var([0, 1, 2], circular=True).Double(), "", "circular Variable"),
        (3, "", "expected a hist.Hist, got int"),
        (
            hist.Hist.new.Reg(9, 0, 1).Int64(),
            "h.fill(1, weight=event.x)",
            "counts integers",
        ),
        (hist.Hist.new.Int(0, 9).Double(), "h.fill(event.x)", "for an Integer axis"),
        (hist.Hist.new.IntCat([1]).Double(), "h.fill(0.5)", "for an IntCategory axis"),
        (hist.Hist.new.StrCat("a").Double(), "h.fill(event.x)", "must be a text"),
    ],
)
def test_histograms_that_kernels_do_not_fill(template, text, reason):
    assert reason in refused(text or "pass", template)


@pytest.mark.parametrize("names", [{}, {"other": PLAIN}, {"h": PLAIN, "g": PLAIN}])
def test_parameters_are_the_event_and_the_histograms(names):
    with pytest.raises(KernelError, match=r"cell.py:1: analysis has the parameters"):
        kernel(**names)(body("pass"))


def test_a_kernel_is_made_by_def():
    with pytest.raises(KernelError, match="expected a function made by def"):
        kernel(h=PLAIN)(lambda event, h: h.fill(event.x))


def test_a_function_without_source_says_where_to_write_it():
    namespace = {}
    exec("def analysis(event, h): pass", namespace)
    with pytest.raises(KernelError, match="in a file or in a notebook's cell"):
        kernel(h=PLAIN)(namespace["analysis"])


def test_a_file_that_has_changed_since_is_not_compiled():
    function = body("pass", "changed.py")
    text = "def another(event, h):\n    pass"
    linecache.cache["changed.py"] = (len(text), None, text.splitlines(True), "")
    with pytest.raises(KernelError, match=r"changed.py is not as it was .* again"):
        kernel(h=PLAIN)(function)


def test_fields_that_are_not_equally_long_are_refused():
    events = made(3, 20)
    columns = events._file._columns
    columns["Jet_btag"] = columns["Muon_pt"]
    analysis = kernel(h=PLAIN)(
        body("for j in event.Jet:\n    h.fill(j.pt, weight=j.btag)")
    )
    for way in (analysis, analysis.python):
        with pytest.raises(
            KernelError, match="Jet_pt and Jet_btag are not equally long"
        ):
            way(events)


@pytest.mark.parametrize("text", ["h.fill(event.id)", "h.fill(event.id % 7)"])
def test_whole_numbers_that_would_become_negative_are_refused(text):
    analysis = kernel(h=PLAIN)(body(text))
    fine = events_of({"id": Column(np.array([3, 2**63 - 1], np.uint64))})
    assert analysis(fine).sum(flow=True) == 2
    events = events_of({"id": Column(np.array([3, 2**63], np.uint64))})
    for way in (analysis, analysis.python):
        with pytest.raises(KernelError, match=r"id holds 9223372036854775808.*array"):
            way(events)


def is_true(what):
    return True if what else False  # noqa: SIM210 - a truth value for kernels


@pytest.mark.parametrize(
    "text",
    [
        "h.fill(event.n or 5)",
        "h.fill(event.n > 0 or 5)",
        "x = event.n and event.m\nh.fill(x)",
        "h.fill(1 + (event.n or event.m))",
    ],
)
def test_a_side_of_or_that_is_no_truth_value_is_refused_as_a_number(text):
    """In Python it is one of both sides; that both are true does not tell which."""
    n = Column(np.array([0, 2, 3]))
    events = events_of({"n": n, "m": n})
    with pytest.raises(
        KernelError, match=r"event\.n.* not all truth values.*write `bool"
    ):
        kernel(h=PLAIN)(body(text))(events)


def test_any_sides_of_or_may_be_asked_for_their_truth():
    n = Column(np.array([0, 2, 3]))
    events = events_of({"n": n, "m": Column(np.array([0.0, 0.0, 9.0]))})
    text = """
        is_any = bool(event.n or 0)
        if is_any and not chosen(event.m or event.n > 2):
            h.fill(1)
    """
    analysis = kernel(h=PLAIN)(body(text, chosen=is_true))
    assert analysis(events).sum() == analysis.python(events).sum() == 1


def test_what_is_no_number_is_refused_by_plain_python_too(tmp_path):
    path = tmp_path / "texts.parquet"
    ak.to_parquet(ak.zip({"text": ak.Array(["a", "bc"])}, depth_limit=1), path)
    dataset = Dataset(path)
    analysis = kernel(h=PLAIN)(body("for letter in event.text: h.fill(letter)"))
    for way in (analysis, analysis.python):
        with pytest.raises(KernelError, match="text is neither numbers nor lists of"):
            dataset.run(way, on="serial", progress=False)
