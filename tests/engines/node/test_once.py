"""kill -9 of the wrapper, again and again, at moments nobody chose: one execution."""

import json
import random
import signal
import time

import pytest

from offload.plugins.node.folder import ExitCode

pytestmark = pytest.mark.engines

JOB = (
    "import time, fitter; open('runs', 'a').write('run\\n'); time.sleep(0.3);"
    "fitter.run(); open('end', 'a').write('end\\n'); print('end')"
)


def _kill_and_finish(site, person, seed):
    moments = random.Random(seed)
    pod = site(
        "python", "-c", JOB, person=person, uid=f"pod-{seed}",
        runtime=moments.choice(["bubblewrap", "none"]),
        init={"first": "echo run >> $HOME/first"},
    )  # fmt: skip
    for _ in range(moments.randint(1, 6)):
        wrapper = pod.start(user=person)
        time.sleep(moments.uniform(0, 0.4))
        wrapper.send_signal(signal.SIGKILL)
        wrapper.communicate()
    assert pod.run(user=person) == ExitCode.SUCCEEDED, (seed, pod.stderr, pod.done)
    working = pod.folder.volumes / "code"
    assert (working / "runs").read_text() == "run\n", seed
    assert (working / "end").read_text() == "end\n", seed
    assert (pod.folder.path / "home" / "first").read_text() == "run\n", seed
    assert pod.log().endswith("end\n")
    changes = json.loads((pod.folder.path / "changes.json").read_text())
    named = json.dumps(changes)
    assert all(name in named for name in ("runs", "end", "results/fit.txt")), seed
    assert (pod.folder.path / "outputs.tar.zst").stat().st_size == changes["size"]


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_random_it_runs_once(site, person, seed):
    _kill_and_finish(site, person, seed)


@pytest.mark.soak
@pytest.mark.parametrize("tens", range(1, 21))
def test_killed_at_random_200_times_it_runs_once(site, person, tens):
    for seed in range(10 * tens, 10 * tens + 10):
        _kill_and_finish(site, person, seed)
