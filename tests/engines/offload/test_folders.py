"""Where a person stands, and where his code is, is where the job finds it."""

import subprocess
from pathlib import Path

import pytest

import facility

pytestmark = pytest.mark.engines


def test_deep_inside_a_repository(home, python):
    deep = home.work / "analyses/z/plots"
    deep.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", home.work], check=True)
    (home.work / ".gitignore").write_text("*.secret\n/data/\n")
    (home.work / "shared.py").write_text("WORD = 'from the top'\n")
    (home.work / "x.secret").write_text("ignored")
    (home.work / "data").mkdir()
    (home.work / "data/large.bin").write_text("ignored")
    (home.work / "analyses/z/untracked.txt").write_text("untracked")
    (deep / "plot.py").write_text(
        "import os, sys, pathlib\n"
        "sys.path.insert(0, '../../..')\n"
        "import shared\n"
        "top = pathlib.Path('../../..').resolve()\n"
        "found = sorted(str(p.relative_to(top)) for p in top.rglob('*') if p.is_file()"
        " and '.git' not in p.parts and '__pycache__' not in p.parts)\n"
        "print(os.getcwd(), shared.WORD, found)\n"
        "pathlib.Path('out.txt').write_text('deep')\n"
        "(top / 'out.txt').write_text('top')\n"
    )
    done = home.start(
        "submit", "--site", "cluster", "--outputs", "out.txt", "--outputs",
        "analyses/**/out.txt", "--wait", "--", "python", "plot.py", python=python,
        folder=deep,
    )  # fmt: skip
    _, errors = done.communicate(timeout=100)
    assert done.returncode == 0, errors
    files = [".gitignore", "analyses/z/plots/plot.py", "analyses/z/untracked.txt"]
    assert (
        home.facility("logs", "1") == f"{deep} from the top {[*files, 'shared.py']}\n"
    )
    assert (deep / "out.txt").read_text() == "deep"
    assert (home.work / "out.txt").read_text() == "top"


def test_an_editable_installation_is_imported_from_where_it_is(home, make_python):
    python = make_python("analysis-facility")
    source = Path(facility.__file__).parent
    id_ = home.submit(
        "--site", "cluster", "--", "python", "-c",
        "import facility.spec\nprint(facility.__file__, facility.__version__)",
        python=python,
    )  # fmt: skip
    home.facility("wait", id_)
    said = f"{source}/__init__.py {facility.__version__}\n"
    assert home.facility("logs", id_) == said
