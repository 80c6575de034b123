"""What docs/columnar.md shows is what there is."""

import re
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

import facility.columnar
from facility.cli.rerun import rerun
from facility.columnar import Dataset, kernels
from facility.columnar.executors import executor_for
from facility.columnar.reduction import RUN
from facility.columnar.schemas import SCHEMAS
from facility.errors import FacilityError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/columnar.md").read_text()
KERNEL, ARRAYS, DATASETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

COMPARISON = """
kernel_result = result
{arrays}
array_result = events.run(dimuon, progress=False)
import numpy as np
a, b = kernel_result.hist.view(flow=True), array_result.hist.view(flow=True)
assert np.array_equal(a["value"].round(), b["value"].round()), (a, b)
print(int(a["value"].sum()))
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    chance = np.random.default_rng(1)
    for name in ("a", "b"):
        counts = chance.integers(0, 4, 500)
        muons = {
            "pt": chance.uniform(20, 70, counts.sum()),
            "eta": chance.uniform(-2, 2, counts.sum()),
            "phi": chance.uniform(-3, 3, counts.sum()),
            "mass": np.full(counts.sum(), 0.1057),
            "charge": chance.choice([-1.0, 1.0], counts.sum()),
        }
        jagged = ak.zip({k: ak.unflatten(v, counts) for k, v in muons.items()})
        with uproot.recreate(tmp_path / "files" / f"{name}.root") as file:
            kinds = ", ".join(f"{field}: float64" for field in muons)
            tree = file.mktree(
                "Events", {"Muon": f"var * {{{kinds}}}", "genWeight": "float64"}
            )
            tree.extend({"Muon": jagged, "genWeight": np.ones(500)})
    return tmp_path


def test_the_kernel_runs_as_it_is_shown_and_equals_the_arrays(files):
    script = files / "script.py"
    script.write_text(
        "import matplotlib; matplotlib.use('agg')\n"
        f"{KERNEL}{COMPARISON.format(arrays=ARRAYS)}"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=files, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 500
    assert (files / "dimuon.json").stat().st_size > 1000


def test_what_a_dataset_takes_is_shown(files):
    (shown,) = re.findall(r"Dataset\(files, (.*?)\)\n", DATASETS)
    words = dict(word.split("=") for word in shown.split(", "))
    arguments = {key: eval(value) for key, value in words.items()}
    assert len(Dataset(files / "files", **arguments)) == 1000
    assert "Dataset.catalogue(" in DATASETS
    assert callable(Dataset.catalogue)


def test_every_schema_is_named():
    paragraph = PAGE[PAGE.index("A *schema* says") :].partition("\n\n")[0]
    assert set(SCHEMAS) - {"inferred"} <= set(re.findall(r"`(\w+)`", paragraph))


def test_every_error_of_the_table_exists():
    rows = re.findall(r"^\| `(\w+Error)`", PAGE, re.MULTILINE)
    assert len(rows) >= 6
    for name in rows:
        assert issubclass(getattr(facility.columnar, name), FacilityError)


def test_every_place_of_the_table_is_taken():
    rows = re.findall(r'^\| `"(\w+)"`', PAGE, re.MULTILINE)
    assert set(rows) == {"threads", "processes", "batch", "serial"}
    for name in rows:
        with executor_for(name) as executor:
            assert executor.name == name


def test_numbers_and_options_are_those_of_the_code():
    assert f"runs of {RUN} consecutive chunks" in " ".join(PAGE.split())
    options = set(re.findall(r"`(--[a-z]+)", PAGE))
    assert options == {"--out", "--json", "--source", "--trust"}
    for option in options:
        assert option.strip("-") in {*rerun.__annotations__, "json"}


def test_the_kernels_that_are_named_exist():
    assert {"pairs", "objects", "fill", "argmin_by"} <= set(kernels.__all__)
