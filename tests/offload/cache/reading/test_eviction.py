"""Below its quota, without what jobs need ever going."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.errors import NoSpaceError
from offload.cache.reading.eviction import KeptObject, KeptTree, choose_victims
from offload.cache.reading.store import Content

CONTENTS = [Content(f"{n:040x}", 0o644, 0) for n in range(8)]
SIZES = {content: 100 + n for n, content in enumerate(CONTENTS)}

trees = st.lists(
    st.builds(
        KeptTree,
        st.sampled_from(["images/a", "images/b", "layers/c", "layers/d"]),
        st.integers(0, 9).map(float),
        st.frozensets(st.sampled_from(CONTENTS)),
        st.booleans(),
    ),
    unique_by=lambda tree: tree.name,
)
objects = st.lists(
    st.builds(
        KeptObject,
        st.sampled_from("abcdefgh"),
        st.integers(0, 9).map(float),
        st.sampled_from(CONTENTS),
        st.booleans(),
    ),
    unique_by=lambda one: one.name,
)


@given(trees, objects, st.integers(-100, 1500))
def test_what_is_kept_stays_whole_and_no_more_goes_than_must(trees, objects, excess):
    victims = choose_victims(trees, objects, SIZES, excess)
    kept = [tree for tree in trees if tree.name not in victims.trees]
    for tree in kept:
        assert not tree.contents & victims.contents
    for one in objects:
        assert not (one.is_pinned and one.content in victims.contents)
    assert all(tree in kept for tree in trees if tree.is_pinned)
    assert victims.freed == sum(SIZES[content] for content in victims.contents)
    if excess <= 0:
        assert not victims.trees
        assert not victims.contents
    if victims.freed < excess:  # then all that may go goes
        assert all(tree.is_pinned for tree in kept)
        held = frozenset().union(*(t.contents for t in kept))
        held |= {o.content for o in objects if o.is_pinned}
        assert {o.content for o in objects} - held <= victims.contents


@given(trees, objects, st.integers(1, 600))
def test_the_longest_unused_goes_first(trees, objects, excess):
    victims = choose_victims(trees, objects, SIZES, excess)
    gone = [t.used for t in trees if t.name in victims.trees]
    stay = [t for t in trees if t.name not in victims.trees and not t.is_pinned]
    assert all(tree.used >= max(gone, default=0.0) for tree in stay)


@pytest.fixture
def images(publisher):
    """Three images of 4 MB each and a common part of 1 MB."""
    common = publisher.file(b"common", os.urandom(1_000_000))
    publisher.publish(
        **{n: [common, publisher.file(b"own", os.urandom(4_000_000))] for n in "abc"}
    )
    return {name: publisher.digest(name) for name in "abc"}


def used_long_ago(cache, image, seconds):
    record = cache.folder / "images" / f"{image.removeprefix('sha256:')}.record"
    then = time.time() - seconds
    os.utime(record, (then, then))


def kept(cache, images):
    return {n for n, d in images.items() if f"images/{d[7:]}" in cache.trees()}


def test_the_oldest_tree_gives_way(make_cache, images):
    cache = make_cache("site", quota_bytes=10_000_000)
    for name, age in (("a", 100), ("b", 200)):
        cache.image(images[name])
        used_long_ago(cache, images[name], age)
    cache.image(images["c"])
    cache.collect()
    assert kept(cache, images) == {"a", "c"}
    assert cache.size() < 10_000_000
    for name in "ac":
        tree = cache.folder / "images" / images[name][7:]
        assert cache.image(images[name]) == tree
        assert len((tree / "common").read_bytes()) == 1_000_000
    assert not any((cache.folder / "trash").iterdir())


def test_what_jobs_have_pinned_stays(make_cache, images):
    cache = make_cache("site", quota_bytes=10_000_000)
    cache.pin("job-1", images["a"])
    cache.pin("job-2", f"/.flat/{images['b'][7:9]}/{images['b'][7:]}")
    for name in "ab":
        cache.image(images[name])
        used_long_ago(cache, images[name], 1000)
    with pytest.raises(NoSpaceError, match="all the rest is used by jobs"):
        cache.image(images["c"])
    assert cache.collect().lacking == 0
    assert kept(cache, images) == {"a", "b"}
    cache.unpin("job-1")
    cache.image(images["c"])
    cache.collect()
    assert kept(cache, images) == {"b", "c"}


def test_the_quota_is_kept_without_being_asked(make_cache, images):
    cache = make_cache("site", quota_bytes=6_000_000)
    for name in "abc":
        cache.image(images[name])
        assert cache.size() < 6_000_000
    assert kept(cache, images) == {"c"}


def test_what_does_not_fit_beside_pinned_ones_is_refused(make_cache, images):
    cache = make_cache("site", quota_bytes=6_000_000)
    cache.pin("job", images["a"])
    cache.image(images["a"])
    with pytest.raises(NoSpaceError, match=r"bytes do not fit, [\d,]+ are lacking"):
        cache.image(images["b"])
    assert kept(cache, images) == {"a"}


def test_what_killed_processes_left_goes_after_a_while(cache, images, monkeypatch):
    cache.image(images["a"])
    left = cache.folder / "drafts/ab/1.abc"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    draft = cache.folder / "images/.x.draft"
    (draft / "env").mkdir(parents=True)
    cache.collect()
    assert left.exists()
    assert draft.exists()
    later = time.time() + 7200
    monkeypatch.setattr("offload.cache.reading.eviction.time.time", lambda: later)
    cache.collect()
    assert not left.exists()
    assert not draft.exists()
    assert kept(cache, images) == {"a"}
    assert cache.verify() == 0
