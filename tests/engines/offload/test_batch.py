"""An analysis of a notebook as batch jobs, on this machine and on a real Slurm.

An environment of what an analysis needs travels, once, with the project in it as its
developers have it: an editable installation, imported from where its sources are.
"""

import json
import subprocess

import numpy as np
import pytest
import uproot

pytestmark = pytest.mark.engines

SCRIPT = """
import json, sys
import hist, numpy as np
import helper
from facility.columnar import Batch, Dataset

def analysis(events):
    x = np.asarray(helper.positive(events.x))
    axis = hist.axis.Regular(10, 0, 5)
    return hist.Hist(axis, storage=hist.storage.Double()).fill(x, weight=x)

events = Dataset("data.root", chunk_events=1000)
here = events.run(analysis, on="serial", progress=False)
batch = Batch(jobs=3, site=sys.argv[1], memory="1 GiB")
there = events.run(analysis, on=batch, progress=False)
print(json.dumps({
    "same": here.hist.values().tobytes() == there.hist.values().tobytes(),
    "sum": there.hist.sum(),
    "chunks": [chunk.index for chunk in there.provenance.chunks],
    "workers": there.provenance.workers,
}))
"""


@pytest.fixture(scope="module")
def analysis_python(make_python):
    return make_python(
        "analysis-facility[offload]", "uproot", "hist", "cloudpickle", "tqdm"
    )


@pytest.mark.parametrize("site", ["here", "cluster"])
def test_the_same_bits_from_batch_jobs(shared_home, analysis_python, site):
    work = shared_home.work / f"batch-{site}"
    work.mkdir()
    events = np.random.default_rng(1)
    with uproot.recreate(work / "data.root") as file:
        tree = file.mktree("Events", {"x": "float64"})
        for _ in range(9):
            tree.extend({"x": events.normal(size=1000)})
    # Python reads it from where it is: it has to travel with the code.
    (work / "helper.py").write_text("def positive(x):\n    return x[x > 0]\n")
    (work / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [analysis_python, "script.py", site],
        cwd=work,
        env=shared_home.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr + shared_home.logs()
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["same"]
    assert answer["sum"] > 0
    assert answer["chunks"] == list(range(9))
    assert len(answer["workers"]) == 3
    job = json.loads(shared_home.facility("jobs", "--json"))[0]
    assert (job["count"], job["outcome"], job["site"]) == (3, "succeeded", site)
