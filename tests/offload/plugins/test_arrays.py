from hypothesis import given
from hypothesis import strategies as st

from offload.plugins.arrays import GATHER_S, Room, batches
from offload.plugins.records import Record, Stage

MUCH = Room(array=1000, jobs=None)


def record(uid, group="", size=1, index=0, options=(), at=0.0, **fields):
    return Record(
        uid=uid, group=group, group_size=size, index=index, options=options,
        accepted_at=at, **fields,
    )  # fmt: skip


def uids(found):
    return [[r.uid for r in pods] for pods in found]


def test_single_pods_go_at_once_and_alone():
    found, again = batches([record("a", at=2), record("b", at=1)], MUCH, now=2.0)
    assert uids(found) == [["b"], ["a"]]
    assert again is None


def test_a_group_that_is_complete_is_one_array_in_its_order():
    pods = [record(f"p{i}", "g", 3, i, at=5.0) for i in (2, 0, 1)]
    found, again = batches(pods, MUCH, now=5.0)
    assert uids(found) == [["p0", "p1", "p2"]]
    assert again is None


def test_a_group_that_arrives_is_waited_for_but_not_for_ever():
    pods = [record("p0", "g", 3, 0, at=5.0)]
    found, again = batches(pods, MUCH, now=5.1)
    assert (found, again) == ([], 5.0 + GATHER_S)
    found, _ = batches(pods, MUCH, now=5.0 + GATHER_S)
    assert uids(found) == [["p0"]]


def test_other_needs_are_another_array():
    pods = [
        record("a", "g", 2, 0, options=("--mem=1M",), at=0),
        record("b", "g", 2, 1, options=("--mem=2M",), at=0),
    ]
    assert sorted(uids(batches(pods, MUCH, now=9.0)[0])) == [["a"], ["b"]]


def test_what_does_not_wait_is_left_alone():
    pods = [
        record("a", stage=Stage.SUBMITTED),
        record("b", is_unwanted=True),
        record("c", retry_at=10.0),
    ]
    assert batches(pods, MUCH, now=9.0) == ([], None)


@given(
    st.lists(st.integers(1, 40), max_size=5),
    st.integers(1, 13),
    st.none() | st.integers(-3, 60),
)
def test_never_more_than_the_scheduler_takes_and_each_pod_once(sizes, array, jobs):
    pods = [
        record(f"{g}-{i}", f"g{g}", size, i, at=float(g))
        for g, size in enumerate(sizes)
        for i in range(size)
    ]
    found, _ = batches(pods, Room(array, jobs), now=100.0)
    names = [name for some in uids(found) for name in some]
    assert len(names) == len(set(names))
    assert all(0 < len(some) <= array for some in found)
    most = len(pods) if jobs is None else min(len(pods), max(0, jobs))
    assert len(names) == most
