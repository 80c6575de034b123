"""The examples: stored clean, understandable, and they run.

``dimuon`` runs through the hub in the hub's tests: it needs a gateway.
"""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_all_examples_are_there():
    names = {path.stem for path in NOTEBOOKS}
    assert {
        "dimuon",
        "four_leptons",
        "kernel",
        "physlite",
        "rdataframe_on_dask",
    } <= names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_stored_without_outputs_for_any_python_kernel(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_newcomer_is_told_what_happens(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].source.startswith("# ")
    texts = [c for c in cells if c.cell_type == "markdown"]
    assert len(texts) >= 2
    assert sum(len(c.source.split()) for c in texts) > 100


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_is_made_up_or_simulated_is_called_so(path):
    text = path.read_text().lower()
    assert "simulation" in text or "simulated" in text


def executed(name: str, folder: Path) -> str:
    """Run an example outside of a facility; return all that it printed."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DASK_GATE")}
    NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(folder)}}
    ).execute(env=environment)
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


@pytest.mark.engines
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("four_leptons", "40 generated events stand for"),
        ("kernel", "the same bytes: the histogram of kernel.json"),
        ("physlite", "AnalysisElectronsAuxDyn.pt"),
        ("rdataframe_on_dask", "events in another bin"),
    ],
)
def test_it_runs(name, printed, tmp_path):
    assert printed in executed(name, tmp_path)
