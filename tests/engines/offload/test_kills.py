"""kill -9 of agent, plugin and wrapper: every job runs once and comes back whole."""

import random

import pytest

pytestmark = pytest.mark.engines

SAMPLE = {
    "agent": ["stored", "queued", "returning"],
    "plugin": ["transferred", "queued", "running"],
    "wrapper": [
        "the wrapper is there",
        "the program has started",
        "the program has ended",
    ],
}


@pytest.mark.parametrize("victim", SAMPLE)
def test_killed_at_a_step(make_runs, victim):
    runs = make_runs()
    runs.carry(runs.kill(victim, step) for step in SAMPLE[victim])
    assert runs.done == len(SAMPLE[victim])
    assert sum(runs.kills.values()) >= len(SAMPLE[victim]) - 1


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_killed_two_hundred_times(make_runs, capsys):
    chance = random.Random(11)

    def tell(line):
        with capsys.disabled():
            print(line, flush=True)

    runs = make_runs()
    while sum(runs.kills.values()) < 200:
        runs.carry((runs.kill.at_random(chance) for _ in range(20)), tell=tell)
        tell(f"{runs.done} jobs, {dict(sorted(runs.kills.items()))}")
