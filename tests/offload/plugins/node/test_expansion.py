import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.plugins.node.expansion import expand

VARIABLES = {"A": "1", "B": "$(A)", "EMPTY": "", "x.y-z": "dotted"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("a$(A)b$(A)", "a1b1"),
        ("$(B)", "$(A)"),
        ("$(EMPTY)|", "|"),
        ("$(x.y-z)", "dotted"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("cost: 5$", "cost: 5$"),
        ("a\n$(A)\n", "a\n1\n"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text, expected):
    assert expand(text, VARIABLES) == expected


@given(st.text())
def test_text_without_dollars_stays(text):
    plain = text.replace("$", "")
    assert expand(plain, VARIABLES) == plain


@given(st.text())
def test_any_text_can_be_escaped(text):
    assert expand(text.replace("$", "$$"), VARIABLES) == text
