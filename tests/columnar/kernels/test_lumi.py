"""Certified sections against a search through the ranges."""

import json

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar import DatasetError
from facility.columnar.kernels import LumiMask

RUNS = st.integers(0, 4)
RANGE = st.tuples(st.integers(0, 20), st.integers(0, 8)).map(
    lambda r: [r[0], r[0] + r[1]]
)
MASKS = st.dictionaries(RUNS, st.lists(RANGE, max_size=4), max_size=4)


@given(MASKS, st.lists(st.tuples(RUNS, st.integers(0, 30)), max_size=20))
def test_it_is_a_search_through_the_ranges(runs, events):
    truth = [
        any(first <= section <= last for first, last in runs.get(run, []))
        for run, section in events
    ]
    run, section = np.array(events, np.uint32).reshape(-1, 2).T
    assert LumiMask.from_runs(runs)(run, section).tolist() == truth
    found = LumiMask.from_runs(runs)(ak.Array(run), ak.Array(section))
    assert isinstance(found, ak.Array)
    assert found.to_list() == truth


def test_a_file_is_read(tmp_path):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"355100": [[1, 20], [25, 4_000_000_000]]}))
    mask = LumiMask.from_json(path)
    sections = np.array([0, 1, 20, 21, 25, 4_000_000_000], np.uint32)
    run = np.full(6, 355100, np.uint32)
    assert mask(run, sections).tolist() == [False, True, True, False, True, True]
    assert not mask(run - 1, sections).any()


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", '{"one": [[1, 2]]}', '{"1": [[2, 1]]}', '{"1": [3]}']
)
def test_what_is_no_mask_is_said_in_one_line(tmp_path, text):
    path = tmp_path / "golden.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match="golden.json is no lumi mask") as raised:
        LumiMask.from_json(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="absent.json"):
        LumiMask.from_json(tmp_path / "absent.json")
