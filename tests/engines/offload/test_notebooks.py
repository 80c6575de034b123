"""A notebook of today, executed elsewhere with the kernel of its own environment."""

import json

import nbformat
import pytest

pytestmark = pytest.mark.engines


def write_notebook(path, *cells):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    nbformat.write(notebook, path)


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(o.get("text", "") for o in cell.outputs) for cell in cells]


def test_the_executed_copy_comes_back_beside_the_open_one(shared_home, make_python):
    python = make_python("nbclient", "ipykernel")
    notebook = shared_home.work / "analysis.ipynb"
    (shared_home.work / "numbers.json").write_text("[1, 2, 3]")
    write_notebook(
        notebook,
        "import json\ntotal = sum(json.load(open('numbers.json')))",
        "print('total', total)",
    )
    frozen = notebook.read_bytes()
    id_ = shared_home.submit("--site", "cluster", "analysis.ipynb", python=python)
    shared_home.facility("wait", id_)
    assert notebook.read_bytes() == frozen
    copies = [
        shared_home.work / f"analysis.{id_}.ipynb",
        shared_home.jobs / id_ / "outputs/analysis.ipynb",
    ]
    for copy in copies:
        assert printed(copy) == ["", "total 6\n"]


def test_without_what_executes_notebooks_it_is_refused(shared_home, python):
    write_notebook(shared_home.work / "other.ipynb", "1")
    before = json.loads(shared_home.facility("jobs", "--json"))
    done = shared_home.run("submit", "other.ipynb", python=python)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "has no nbclient" in line
    assert f"{python} -m pip install nbclient ipykernel" in line
    assert json.loads(shared_home.facility("jobs", "--json")) == before
