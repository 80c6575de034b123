import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache import CacheError, NoSpaceError, SiteCache
from offload.cache.collection import ABANDONED_S, YOUNG_S, KeptImage, choose_victims

CONTENT = 100_000


@pytest.fixture
def fill(home, cache, work):
    """Make a ready snapshot of about 100 kB with its own content, last used then."""

    def fill(name: bytes, used: float):
        snapshot = home.simple(home.file(name, os.urandom(CONTENT)))
        home.send(snapshot, cache)
        cache.ensure_image(snapshot.image)
        document = work / "images" / f"{snapshot.image.removeprefix('sha256:')}.json"
        os.utime(document, (used, used))
        return snapshot

    return fill


def with_quota(work, snapshots: float) -> SiteCache:
    return SiteCache(work, quota_bytes=int(snapshots * 1.2 * CONTENT))


def test_below_the_quota_nothing_goes(fill, work):
    snapshot = fill(b"a", 1.0)
    freed = with_quota(work, 3).collect()
    assert freed.images == ()
    assert SiteCache(work).is_ready(snapshot.image)


def test_the_longest_unused_goes_first(fill, work, tree_of):
    new, old, middle = fill(b"n", 300.0), fill(b"o", 100.0), fill(b"m", 200.0)
    cache = with_quota(work, 2)
    assert cache.collect().images == (old.image,)
    assert not tree_of(old).exists()
    assert not cache.layers.has(old.part("code").layers[0])
    assert not cache.store.has(old.image)
    assert cache.is_ready(new.image)
    assert cache.is_ready(middle.image)
    assert list((work / "trash").iterdir()) == []


def test_what_a_pod_uses_never_goes(fill, work, tree_of):
    used, unused = fill(b"u", 1.0), fill(b"x", 2.0)
    cache = with_quota(work, 0)
    cache.pin("pod-1", [used.image])
    assert cache.collect().images == (unused.image,)
    assert tree_of(used).exists()
    cache.unpin("pod-1")
    cache.unpin("pod-1")
    assert cache.collect().images == (used.image,)
    assert not tree_of(used).exists()


def test_to_pin_is_to_use(fill, work):
    first, second = fill(b"1", 1.0), fill(b"2", 2.0)
    cache = with_quota(work, 1)
    cache.pin("pod-1", [first.image])
    cache.unpin("pod-1")
    assert cache.collect().images == (second.image,)


def test_a_layer_that_another_snapshot_needs_stays(home, cache, work):
    members = [home.file(b"lib", os.urandom(CONTENT))]
    env = home.layer("env", members)
    snapshots = []
    for number in range(2):
        code = [home.file(b"x", b"%d" % number)]
        snapshot = home.snapshot(
            env=([env], members), code=([home.layer("code", code)], code)
        )
        home.send(snapshot, cache)
        cache.ensure_image(snapshot.image)
        snapshots.append(snapshot)
    cache = with_quota(work, 0)
    cache.pin("pod", [snapshots[1].image])
    assert cache.collect().images == (snapshots[0].image,)
    assert cache.layers.has(env.digest)
    assert cache.is_ready(snapshots[1].image)
    assert not cache.layers.has(snapshots[0].part("code").layers[0])


def test_after_a_collection_it_can_be_sent_and_used_again(home, fill, work, tree_of):
    snapshot = fill(b"a", 1.0)
    cache = with_quota(work, 0)
    cache.collect()
    assert home.send(snapshot, cache) > CONTENT
    cache.ensure_image(snapshot.image)
    assert tree_of(snapshot).exists()


def test_what_is_on_its_way_in_is_left_alone(home, fill, work):
    fill(b"old", 1.0)
    cache = with_quota(work, 0)
    coming = home.simple(home.file(b"new", os.urandom(CONTENT)))
    home.send(coming, cache)
    cache.collect()
    assert cache.missing_of(coming.image) == ()


def test_what_a_pinned_pod_still_lacks_keeps_what_came(home, work, monkeypatch):
    cache = with_quota(work, 0)
    coming = home.simple(home.file(b"new", os.urandom(CONTENT)))
    cache.pin("pod", [coming.image])
    home.send(coming, cache)
    later = time.time() + 2 * YOUNG_S
    monkeypatch.setattr(time, "time", lambda: later)
    cache.collect()
    assert cache.missing_of(coming.image) == ()


def test_what_nobody_wants_goes_after_a_while(home, work, monkeypatch):
    cache = SiteCache(work)
    abandoned = home.simple(home.file(b"new", os.urandom(CONTENT)))
    home.send(abandoned, cache)
    half = cache.incoming("sha256:" + "0" * 64, 10)
    half.append(0, b"12345")
    for name in ("layers/.ab.lock", "pins/.pod.ab", "trees/.ab.cd.draft"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).touch()  # as killed processes leave them
    later = time.time() + 2 * ABANDONED_S
    monkeypatch.setattr(time, "time", lambda: later)
    cache.collect()
    assert cache.missing_of(abandoned.image) == (abandoned.image,)
    assert half.offset == 0
    assert not list(work.glob("*/.*"))


def test_room_is_made_from_what_is_unused(fill, work):
    old = fill(b"old", 1.0)
    cache = with_quota(work, 1)
    cache.make_room(CONTENT)
    assert not cache.is_ready(old.image)


def test_room_that_pods_use_is_not_made(fill, work):
    used = fill(b"used", 1.0)
    cache = with_quota(work, 1)
    cache.pin("pod", [used.image])
    with pytest.raises(NoSpaceError, match="lacking"):
        cache.make_room(CONTENT)
    assert cache.is_ready(used.image)


@pytest.mark.parametrize("uid", ["../x", "", "a/b", ".hidden"])
def test_a_pin_stays_in_its_folder(cache, uid):
    with pytest.raises(CacheError):
        cache.pin(uid, [])


@given(
    st.lists(
        st.tuples(
            st.frozensets(st.sampled_from("abcdef")), st.integers(0, 9), st.booleans()
        ),
        max_size=8,
    ),
    st.integers(-5, 60),
)
def test_victims_are_enough_or_all_and_never_pinned(drawn, excess):
    images = [
        KeptImage(str(n), layers, frozenset(), used, pinned)
        for n, (layers, used, pinned) in enumerate(drawn)
    ]
    sizes = dict.fromkeys("abcdef", 10)
    victims = choose_victims(images, sizes, excess)
    rest = [image for image in images if image not in victims]
    all_layers = frozenset().union(*(i.layers for i in images))
    freed = 10 * len(all_layers - frozenset().union(*(i.layers for i in rest)))
    assert not any(victim.is_pinned for victim in victims)
    assert freed >= excess or all(image.is_pinned for image in rest)
    if excess <= 0:
        assert victims == ()
    for victim in victims:
        for image in rest:
            assert image.is_pinned or victim.used <= image.used
