import asyncio

import pytest

from offload.jobs.agent.backoff import LONGEST_S, SHORTEST_S, Backoff
from offload.jobs.agent.workqueue import WorkQueue


async def taken(queue: WorkQueue[str], least: int = 0) -> list[str]:
    """Take so many, however long that takes, and what else there is."""
    found = [await asyncio.wait_for(queue.get(), 60) for _ in range(least)]
    while True:
        try:
            found.append(await asyncio.wait_for(queue.get(), 0.03))
        except TimeoutError:
            return found


async def test_a_key_waits_once_however_often_it_was_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "abaab":
        queue.add(key)
    assert await taken(queue) == ["a", "b"]


async def test_a_key_that_is_being_looked_at_can_be_added_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert await taken(queue) == ["a"]


@pytest.mark.parametrize(
    ("delays", "expected"),
    [((0.0, 60.0), ["a"]), ((60.0, 0.0), ["a"]), ((60.0,), []), ((60.0, 0.005), ["a"])],
)
async def test_the_earliest_time_counts(delays, expected) -> None:
    queue: WorkQueue[str] = WorkQueue()
    for delay in delays:
        queue.add("a", delay)
    assert await taken(queue, len(expected)) == expected
    queue.close()


async def test_a_closed_queue_adds_nothing_later() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", 0.01)
    queue.close()
    assert await taken(queue) == []


def test_delays_double_up_to_the_longest_and_start_again() -> None:
    now = 0.0
    backoff = Backoff(lambda: now)
    delays = [backoff.failed("x") for _ in range(12)]
    assert delays[:3] == [SHORTEST_S, 2 * SHORTEST_S, 4 * SHORTEST_S]
    assert delays[-1] == LONGEST_S
    assert backoff.left_s("x") == LONGEST_S
    assert backoff.left_s("y") == 0
    now = LONGEST_S - 1
    assert backoff.left_s("x") == 1
    backoff.worked("x")
    assert (backoff.left_s("x"), backoff.failed("x", 0.02)) == (0, 0.02)
