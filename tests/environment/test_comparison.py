"""How two environments differ, in the words that a person reads."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from facility.environment import (
    IGNORED,
    Distribution,
    Environment,
    Interpreter,
    Libc,
    Origin,
    difference,
)

INTERPRETER = Interpreter("cpython", "3.11.2", "x86_64", Libc("glibc", "2.36"))
TEXTS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6)
DISTRIBUTIONS = st.builds(
    Distribution,
    version=TEXTS,
    origin=st.sampled_from(Origin),
    contents=st.none() | TEXTS,
    url=st.none() | TEXTS,
)
NAMES = st.sampled_from(["awkward", "numpy", "pip", "uproot", "wheel"])
ENVIRONMENTS = st.builds(
    Environment,
    interpreter=st.builds(
        Interpreter,
        implementation=st.sampled_from(["cpython", "pypy"]),
        version=st.sampled_from(["3.11.2", "3.12.0"]),
        machine=st.sampled_from(["x86_64", "aarch64"]),
        libc=st.builds(Libc, st.just("glibc"), st.sampled_from(["2.36", "2.39"])),
    ),
    distributions=st.dictionaries(NAMES, DISTRIBUTIONS, max_size=3),
    prefix=TEXTS,
)


def environment(**versions: str | Distribution) -> Environment:
    return Environment(
        INTERPRETER,
        {n: Distribution(v) if isinstance(v, str) else v for n, v in versions.items()},
    )


def test_each_difference_is_one_line() -> None:
    mine = environment(
        numpy="2.4.6",
        uproot="5.7.7",
        awkward="2.9.0",
        mine=Distribution("0.1", Origin.EDITABLE, "0123456789ab"),
        pip="23.0",
    )
    theirs = Environment(
        Interpreter("cpython", "3.12.1", "aarch64", Libc("glibc", "2.39")),
        environment(
            numpy="2.3.0",
            uproot="5.7.7",
            coffea="2026.9.0",
            mine=Distribution("0.1", Origin.EDITABLE, "ba9876543210"),
            pip="26.0",
        ).distributions,
    )
    assert difference(mine, theirs).lines("notebook", "worker") == [
        "python cpython 3.11.2 notebook, cpython 3.12.1 worker",
        "machine x86_64 notebook, aarch64 worker",
        "libc glibc 2.36 notebook, glibc 2.39 worker",
        "mine 0.1 (editable 01234567) notebook, 0.1 (editable ba987654) worker",
        "numpy 2.4.6 notebook, 2.3.0 worker",
        "awkward 2.9.0 notebook, missing worker",
        "coffea missing notebook, 2026.9.0 worker",
    ]


def test_a_long_difference_is_shortened() -> None:
    mine = environment(**{f"d{n}": "1" for n in range(8)})
    found = difference(mine, environment())
    assert str(found) == (
        "d0 1 here, missing there; d1 1 here, missing there; d2 1 here, missing there; "
        "d3 1 here, missing there; d4 1 here, missing there; and 3 more"
    )
    assert found.describe("a", "b", shown=8).endswith("; d7 1 a, missing b")


def test_another_origin_is_a_difference() -> None:
    conda = environment(numpy=Distribution("2.4.6", Origin.CONDA))
    assert str(difference(environment(numpy="2.4.6"), conda)) == (
        "numpy 2.4.6 here, 2.4.6 (conda) there"
    )


def test_no_difference_says_so() -> None:
    found = difference(environment(numpy="1"), environment(numpy="1", pip="26"))
    assert found.is_empty
    assert found.lines() == []
    assert str(found) == "no difference"


def test_installers_make_no_difference() -> None:
    full = environment(**dict.fromkeys(IGNORED, "1"))
    assert difference(full, environment()).is_empty
    assert full.digest == environment().digest


def test_a_url_and_a_prefix_make_no_difference() -> None:
    one = environment(x=Distribution("1", Origin.LOCAL, "c", "file:///home/a"))
    two = environment(x=Distribution("1", Origin.LOCAL, "c", "file:///home/b"))
    assert one.digest == two.digest
    assert one == replace(two, prefix="/elsewhere")
    assert difference(one, two).is_empty


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_the_difference_is_empty_exactly_if_the_digests_are_equal(
    mine: Environment, theirs: Environment
) -> None:
    assert difference(mine, theirs).is_empty == (mine.digest == theirs.digest)


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_the_difference_is_the_same_from_both_sides(
    mine: Environment, theirs: Environment
) -> None:
    there, back = difference(mine, theirs), difference(theirs, mine)
    assert there.added == back.removed
    assert there.removed == back.added
    assert there.changed == {n: (b, a) for n, (a, b) in back.changed.items()}


@given(ENVIRONMENTS)
def test_json_reads_back_the_same(environment: Environment) -> None:
    again = Environment.from_json(environment.to_json())
    assert again == environment
    assert again.digest == environment.digest
    assert again.prefix == environment.prefix
    assert list(again.distributions) == sorted(environment.distributions)
    assert "\n" not in environment.to_json()
