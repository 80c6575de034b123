"""Four-vectors of arrays against the same in a loop over objects."""

import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.columnar.kernels import (
    delta_r,
    four_vectors,
    selected,
    total,
    transverse_mass,
)

SINGLE = {"allow_subnormal": False, "width": 32}
PT = st.floats(0.125, 512, **SINGLE)
ETA = st.floats(-4, 4, **SINGLE)
PHI = st.floats(-3.140625, 3.140625, **SINGLE)
MASS = st.floats(0, 128, **SINGLE)
EVENTS = st.lists(st.lists(st.tuples(PT, ETA, PHI, MASS), max_size=4), max_size=5)
NAMES = ("pt", "eta", "phi", "mass")


def jagged(events):
    """Return the events as four-vectors of float32 columns."""
    counts = np.array([len(event) for event in events], int)
    objects = np.array([o for e in events for o in e], np.float32).reshape(-1, 4)
    columns = (ak.unflatten(column, counts) for column in objects.T)
    return four_vectors(**dict(zip(NAMES, columns, strict=True)))


def components(pt, eta, phi, mass):
    px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
    return px, py, pz, math.sqrt(px**2 + py**2 + pz**2 + mass**2)


@settings(max_examples=40)
@given(EVENTS)
def test_components_are_those_of_a_loop(events):
    vectors = jagged(events)
    for index, name in enumerate(("px", "py", "pz", "energy")):
        column = getattr(vectors, name)
        assert ak.type(column).content.content.primitive == "float64"
        for event, found in zip(events, column.to_list(), strict=True):
            truth = [components(*o)[index] for o in event]
            assert found == pytest.approx(truth, rel=1e-13, abs=1e-13)


@settings(max_examples=40)
@given(EVENTS)
def test_cartesian_vectors_have_the_same_directions(events):
    vectors = jagged(events)
    cartesian = four_vectors(
        px=vectors.px, py=vectors.py, pz=vectors.pz, energy=vectors.energy
    )
    for name in ("pt", "eta", "phi", "p", "rapidity"):
        truth = ak.flatten(getattr(vectors, name)).to_list()
        found = ak.flatten(getattr(cartesian, name)).to_list()
        assert found == pytest.approx(truth, rel=1e-9, abs=1e-9)


@settings(max_examples=40)
@given(EVENTS)
def test_the_total_is_the_sum_of_a_loop(events):
    found = total(jagged(events))
    for event, energy, mass in zip(
        events, found.energy.to_list(), found.mass.to_list(), strict=True
    ):
        sums = [sum(c) for c in zip(*(components(*o) for o in event), strict=True)]
        px, py, pz, truth = sums or [0, 0, 0, 0]
        assert energy == pytest.approx(truth)
        squared = max(truth**2 - px**2 - py**2 - pz**2, 0)
        assert mass**2 == pytest.approx(squared, abs=1e-11 * truth**2)


def test_two_muons_back_to_back_have_twice_their_energy_as_mass():
    first = four_vectors(pt=np.array([45.0]), eta=0.0, phi=0.0, mass=0.0)
    second = four_vectors(pt=np.array([45.0]), eta=0.0, phi=math.pi, mass=0.0)
    assert (first + second).mass.to_list() == pytest.approx([90])
    assert (first + second).pt.to_list() == pytest.approx([0], abs=1e-12)
    assert (first[0] + second[0]).mass == pytest.approx(90)
    assert transverse_mass(first, second).to_list() == pytest.approx([90])


def test_a_mass_that_rounds_below_zero_is_zero():
    light = four_vectors(px=np.array([3.0]), py=4.0, pz=0.0, energy=5 - 1e-12)
    assert light.mass.to_list() == [0]


def test_directions_along_the_beam_and_at_rest():
    pz = np.array([2.0, -2.0, 0.0])
    beam = four_vectors(px=0.0, py=0.0, pz=pz, energy=abs(pz))
    assert beam.eta.to_list() == [math.inf, -math.inf, 0]


def test_not_a_number_stays_in_its_object():
    pair = four_vectors(pt=np.array([np.nan, 10.0]), eta=1.0, phi=0.5, mass=0.0)
    assert np.isnan(pair.px.to_numpy()).tolist() == [True, False]
    assert np.isnan((pair + pair).mass.to_numpy()).tolist() == [True, False]


def test_comparisons_are_those_of_doubles():
    eta = np.array([2.1], np.float32)
    assert not eta[0] < 2.1  # what numpy makes of a float32 and a Python number
    assert four_vectors(pt=1.0, eta=eta, phi=0.0, mass=0.0).eta[0] < 2.1


def test_one_vector_per_event_meets_many():
    muons = jagged([[(20, 0, 3, 0), (30, 1, -3, 0)], []])
    met = four_vectors(pt=np.array([40.0, 50.0]), eta=0.0, phi=-3.0, mass=0.0)
    around = muons.delta_phi(met).to_list()
    assert around == [pytest.approx([6 - math.tau, 0]), []]
    assert transverse_mass(muons, met).to_list()[0] == pytest.approx(
        [math.sqrt(2 * 20 * 40 * (1 - math.cos(6))), 0]
    )
    along = [math.hypot(0, 6 - math.tau), 1]
    assert delta_r(muons, met).to_list() == [pytest.approx(along), []]


def test_incomplete_coordinates_are_named():
    with pytest.raises(ValueError, match="pt eta phi mass.*got pt eta mass"):
        four_vectors(pt=[1.0], eta=[1.0], mass=[1.0])


@settings(max_examples=40)
@given(EVENTS, st.randoms(use_true_random=False))
def test_a_jagged_mask_selects_as_on_any_array(events, random):
    vectors = jagged(events)
    chosen = [[random.random() < 0.5 for _ in event] for event in events]
    mask = ak.values_astype(ak.Array([*chosen, [True]])[:-1], bool)
    for array, where in ((vectors, mask), (vectors[1:], mask[1:])):
        found = array[where]
        plain = ak.Array(ak.to_layout(array), behavior={})[where]
        assert selected(array.pt, where).to_list() == plain["pt"].to_list()
        assert found.pt.to_list() == plain["pt"].to_list()
        assert isinstance(found, type(vectors))


def test_a_mask_of_other_counts_is_refused_and_other_slices_are_awkwards_own():
    vectors = jagged([[(20, 0, 3, 0), (30, 1, -3, 0)], [(5, 0, 0, 0)]])
    with pytest.raises((ValueError, IndexError), match="slic"):
        vectors[ak.Array([[True, False, True], [True]])]
    assert vectors[ak.Array([[1], [0]])].pt.to_list() == [[30], [5]]
    assert vectors[ak.Array([[True, None], [False]])].pt.to_list() == [[20, None], []]
    every_second = ak.Array([True, False])
    assert selected(vectors.pt, every_second).to_list() == [[20, 30]]
    assert vectors[ak.Array([True, False])].pt.to_list() == [[20, 30]]
    assert vectors[0, 1].pt == 30
