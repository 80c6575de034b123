"""Columns are read when they are touched; objects are flat arrays."""

import gc
import weakref

import awkward as ak
import numpy as np
import pytest

from facility.columnar import Collection, Events, MissingBranchError, leading
from facility.columnar.formats import open_columns
from facility.errors import UsageError


@pytest.fixture
def events(ttree):
    return Events(open_columns(ttree), 100, 300)


def test_nothing_is_read_before_it_is_touched(events):
    assert len(events) == 200
    assert "Muon_pt" in events
    assert events.touched == ()
    assert len(events.Muon_pt) == 200
    assert events.touched == ("Muon_pt",)


def test_a_column_is_read_once(events):
    assert events.Muon_pt is events["Muon_pt"]
    assert events.Muon.pt is events.Muon_pt


def test_a_collection_has_the_fields_of_its_columns(events):
    assert isinstance(events.Muon, Collection)
    assert {"pt", "eta", "phi", "charge"} <= set(dir(events.Muon))


@pytest.mark.parametrize(
    ("name", "near"),
    [("Muon_Pt", "Muon_pt"), ("nMuons", "nMuon"), ("Muon_charg", "Muon_charge")],
)
def test_a_missing_branch_names_the_nearest(events, name, near):
    with pytest.raises(MissingBranchError, match=f"no branch '{name}'.*{near}") as got:
        _ = events[name]
    assert isinstance(got.value, UsageError)
    assert got.value.exit_code == 2
    assert "\n" not in str(got.value)


def test_hasattr_asks_without_an_error(events):
    assert hasattr(events, "nMuon")
    assert not hasattr(events, "Electron_pt")
    assert not hasattr(events.Muon, "mass")


def test_rows_cannot_be_looped_over(events):
    with pytest.raises(TypeError, match=r"columns, not rows"):
        iter(events)


def test_leading_objects_equal_a_loop(events):
    truth = [e for e in events.Muon_pt.to_list() if len(e) >= 2]
    first, second = leading(events.Muon, 2, where=events.nMuon >= 2)
    assert isinstance(first.pt, np.ndarray)
    assert first.pt.tolist() == [e[0] for e in truth]
    assert second.pt.tolist() == [e[1] for e in truth]


def test_leading_objects_can_be_selected_again_and_again(events):
    first, second = leading(events.Muon, 2, where=events.nMuon == 2)
    pairs = list(zip(first.pt.tolist(), second.eta.tolist(), strict=True))
    hard = first.pt > 40
    harder = first[hard].pt > 50
    once, twice = first[hard][harder], second[hard][harder]
    assert list(zip(once.pt.tolist(), twice.eta.tolist(), strict=True)) == [
        p for p in pairs if p[0] > 50
    ]


def test_too_few_objects_raise_and_give_no_neighbour(events):
    first, *_ = leading(events.Muon, 3, where=events.nMuon >= 2)
    with pytest.raises(ValueError, match="fewer than 3"):
        _ = first.pt


def test_leading_objects_of_no_event_are_empty(ttree):
    nothing = Events(open_columns(ttree), 0, 0)
    first, second = leading(nothing.Muon, 2, where=nothing.nMuon == 2)
    assert len(first.pt) == len(second.charge) == 0


def test_leading_needs_jagged_numbers(ttree):
    events = Events(open_columns(ttree), 0, 9)
    with pytest.raises(AttributeError, match="Muon has no field 'pT': did you mean pt"):
        _ = leading(events.Muon, 1, [True] * 9)[0].pT


def test_plain_columns_of_an_object_share_their_offsets(events):
    found = events.plain(["Muon_pt", "Muon_charge", "nMuon"])
    assert events.touched == ("Muon_pt", "Muon_charge", "nMuon")
    pt, charge, count = (found[n] for n in ("Muon_pt", "Muon_charge", "nMuon"))
    assert pt.offsets is charge.offsets
    assert np.diff(pt.offsets).tolist() == count.content.tolist()
    assert count.offsets is None
    assert pt.content.dtype == np.float32
    assert charge.content.dtype == np.int32
    assert pt.content.tolist() == np.concatenate(events.Muon_pt.to_list()).tolist()


def test_types_are_known_without_reading(events):
    assert events.type_of("Muon_pt").dtype == np.float32
    assert events.type_of("Muon_pt").is_jagged
    assert not events.type_of("nMuon").is_jagged
    assert events.touched == ()


@pytest.mark.parametrize("ask", [Events.type_of, lambda e, name: e.plain([name])])
def test_a_missing_plain_branch_names_the_nearest(events, ask):
    with pytest.raises(MissingBranchError, match="did you mean Muon_pt"):
        ask(events, "Muon_Pt")


def test_the_memory_of_a_chunk_goes_with_it(ttree):
    gc.collect()
    gc.disable()
    try:
        events = Events(open_columns(ttree), 0, 300)
        assert len(events.Muon.pt) == 300
        assert len(events.plain(["Muon_eta"])) == 1
        gone = weakref.ref(events)
        del events
        assert gone() is None
    finally:
        gc.enable()


def test_expected_lists_of_one_count_branch_are_read_once(ttree):
    file = open_columns(ttree)
    alone = Events(file, 100, 300)
    before = file.bytes_read
    truth = {name: alone[name] for name in ("Muon_pt", "Muon_charge")}
    apart = file.bytes_read - before
    together = Events(file, 100, 300, expected=("Muon_charge", "Muon_pt", "nMuon"))
    before = file.bytes_read
    assert ak.array_equal(together.Muon_pt, truth["Muon_pt"])
    assert together.touched == ("Muon_pt",)
    first = file.bytes_read - before
    assert ak.array_equal(together.Muon_charge, truth["Muon_charge"])
    assert together.touched == ("Muon_pt", "Muon_charge")
    assert file.bytes_read - before == first < apart


def test_what_is_expected_and_not_there_is_missed_when_it_is_touched(ttree):
    events = Events(open_columns(ttree), 100, 300, expected=("Muon_nothing",))
    assert len(events.Muon_pt) == 200
    with pytest.raises(MissingBranchError, match="Muon_nothing"):
        _ = events.Muon_nothing
