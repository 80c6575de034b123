"""Many distributions become few layers, and the same ones after a small change."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from offload.snapshot.cuts import Group
from offload.snapshot.environments.bins import (
    BINS,
    LARGE,
    MOST_LAYERS,
    MOST_OF_THEIR_OWN,
    bin_groups,
)


def group(name: str) -> Group:
    return Group(name, (f"{name}/a".encode(), f"{name}/b".encode()), is_recorded=True)


def bins(sizes: dict[str, int]) -> set[tuple[bytes, ...]]:
    groups = [group(name) for name in sizes]
    layers = bin_groups(groups, lambda path: sizes[path.decode()[:-2]] // 2)
    return {layer.paths for layer in layers}


SIZES = {f"dist{i}-1.{i}": i * 40_000 for i in range(300)}


@given(
    st.dictionaries(
        st.text("abc-.1", min_size=1), st.integers(0, 3 * LARGE), max_size=99
    )
)
def test_every_path_is_in_exactly_one_layer(sizes):
    layers = bins(sizes)
    paths = [path for layer in layers for path in layer]
    assert sorted(paths) == sorted(p for name in sizes for p in group(name).paths)
    assert all(list(layer) == sorted(layer) for layer in layers)


def test_there_are_never_more_than_an_image_may_have():
    assert len(bins(SIZES)) <= MOST_OF_THEIR_OWN + BINS
    assert len(bins({"numpy-2": LARGE, "tiny-1": 10})) == 2


def test_a_new_version_of_a_small_one_changes_its_own_layer_only():
    changed = {("dist7-9.0" if n == "dist7-1.7" else n): s for n, s in SIZES.items()}
    assert len(bins(changed) - bins(SIZES)) == 1


def test_the_largest_have_a_layer_each():
    assert (b"dist299-1.299/a", b"dist299-1.299/b") in bins(SIZES)


@given(
    st.dictionaries(
        st.text("abc-.1", min_size=1),
        st.tuples(st.integers(0, 3 * LARGE), st.booleans()),
        max_size=99,
    )
)
def test_public_and_private_are_never_in_one_layer(kinds):
    groups = [group(name) for name in kinds]
    published = [
        replace(each, published=dict.fromkeys(each.paths, "A" * 43))
        if kinds[each.name][1]
        else each
        for each in groups
    ]
    layers = bin_groups(published, lambda path: kinds[path.decode()[:-2]][0] // 2)
    for layer in layers:
        names = {path.decode()[:-2] for path in layer.paths}
        assert {kinds[name][1] for name in names} == {layer.is_public}
        assert not layer.is_public or layer.published.keys() == set(layer.paths)
    assert len(layers) <= MOST_LAYERS
    public = [layer.paths for layer in layers if layer.is_public]
    alone = bin_groups(
        [each for each in published if each.is_public],
        lambda path: kinds[path.decode()[:-2]][0] // 2,
    )
    assert public == [layer.paths for layer in alone]
