"""Both styles give, bin for bin, what the slow loop over events gives."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from facility.columnar.adl.queries import Style
from facility.columnar.adl.writing import Format, write_sample
from tests.columnar.adl import event_loop
from tests.columnar.adl.made_up import EVENTS, write

STYLES = list(Style)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("form", list(Format))
def test_styles_and_formats_agree_with_the_loop(tmp_path, asked, truth, style, form):
    path = tmp_path / "sample"
    write_sample(path, 2500, basket_events=600, form=form)
    assert asked(path, style, size=1000) == truth


@given(events=EVENTS)
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_made_up_events_agree_with_the_loop(tmp_path, asked, events):
    margin = event_loop.Margin()
    expected = event_loop.histograms(events, margin)
    assume(margin.smallest > event_loop.ROUNDING)
    path = write(tmp_path / "made.root", events)
    # One file for both: to make and write it takes longer than to ask.
    for style in STYLES:
        assert asked(path, style) == expected, style
