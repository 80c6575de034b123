"""Jobs from Python, as in a notebook: recorded, asked, waited for, shown."""

import json
import sys
from pathlib import Path

import pytest

from facility.client import Job, newest_jobs, submit
from facility.client.submission import Wanted, request_of
from facility.client.working_environment import (
    check_notebooks_run,
    prefix_in_use,
    prefix_of,
    prefix_of_notebook,
)
from facility.errors import UsageError
from facility.open_places import OFFLOAD
from offload.jobs.changes import Observed
from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.settings import Settings
from offload.jobs.stages import Outcome, Stage


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/project").mkdir(parents=True)
    (tmp_path / "home/project/train.py").write_text("print('trained')\n")
    monkeypatch.chdir(tmp_path / "home/project")
    settings = Settings(
        facility_id="test-1",
        state_dir=tmp_path / "state",
        launcher_socket=tmp_path / "launcher.sock",
        jobs_dir=tmp_path / "home/jobs",
    )
    settings.save(tmp_path / "offload.json")
    monkeypatch.setenv(OFFLOAD, str(tmp_path / "offload.json"))
    # This test's environment would take longer to freeze than the test may take.
    monkeypatch.setattr("facility.client.jobs._own_prefix", lambda: None)
    return settings


def finish(settings, job, *, outcome=Outcome.SUCCEEDED, code=0):
    number = JobId(int(job.id))
    ledger = Ledger(settings.ledger)
    ledger.advance(number, Stage.FROZEN, Stage.STORED)
    ledger.advance(number, Stage.STORED, Stage.PLACED, site="here")
    ledger.advance(number, Stage.PLACED, Stage.TRANSFERRED)
    ledger.accepted(number, dict.fromkeys(ledger.sending(number, [0]), "s"))
    element, _ = ledger.element(number, 0)
    ended = Observed(Stage.RETURNING, "s", outcome=outcome, exit_code=code, started=1)
    ledger.observe({element.uid: ended})
    ledger.finish(number, [0], [Stage.RETURNING])
    ledger.close()
    folder = settings.folder(number)
    (folder / "outputs/results").mkdir(parents=True)
    (folder / "outputs/results/a.txt").write_text("1")
    (folder / "logs").mkdir()
    (folder / "logs/main.log").write_text("one\ntwo\n")


def test_a_text_is_split_and_values_have_units(settings):
    job = submit(
        "python3 train.py --name 'a b'",
        time="30 min",
        memory="2 GiB",
        nodes=2,
        outputs="results/**",
        variables={"SEED": "7"},
        name="mine",
    )
    spec = job.record.spec
    assert spec.command == ("python3", "train.py", "--name", "a b")
    assert (spec.time_s, spec.memory_bytes) == (1800, 2 * 2**30)
    assert (spec.nodes, spec.tasks, spec.outputs) == (2, 2, ("results/**",))
    assert spec.environment["SEED"] == "7"
    assert spec.name == "mine"
    assert job.status == "frozen"
    assert job.waiting.startswith("no agent carries it")
    after = submit(["true"], after=job)
    assert after.record.spec.after == (job.id,)
    assert [one.id for one in newest_jobs()] == [after.id, job.id]


def test_what_is_wrong_is_one_line_and_nothing_is_recorded(settings):
    with pytest.raises(UsageError, match="site 'cern': the facility has no such site"):
        submit("true", site="cern")
    with pytest.raises(ValueError, match="expected a duration such as '30 min'"):
        submit("true", time="soon")
    assert newest_jobs() == []


def test_a_job_is_waited_for_and_brings_log_and_outputs(settings):
    job = submit("python3 train.py")
    assert (job.is_done, job.outputs, job.exit_code) == (False, [], None)
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.05)
    finish(settings, job)
    assert job.wait() is job
    assert (job.status, job.exit_code, job.is_done) == ("succeeded", 0, True)
    assert job.logs() == "one\ntwo\n"
    assert list(job.logs(follow=True)) == ["one", "two"]
    assert [path.name for path in job.outputs] == ["a.txt"]
    assert not job.cancel()


def test_a_failure_is_said(settings):
    job = submit("python3 train.py")
    finish(settings, job, outcome=Outcome.FAILED, code=3)
    assert (job.wait().status, job.exit_code) == ("failed", 3)


def test_it_shows_itself_in_a_notebook_and_escapes_what_is_shown(settings):
    job = submit(["echo", "<b>&"])
    assert repr(job).startswith("<Job 1 'echo <b>&': frozen, waiting: no agent")
    shown = job._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;" in shown
    assert "<th>waiting</th>" in shown
    assert job.cancel()
    assert Job(1).id == "1"


# which environment


def test_the_activated_environment_is_the_one_in_use(tmp_path):
    for name in ("venv", "conda"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/python").write_text("")
    (tmp_path / "venv/pyvenv.cfg").write_text("")
    virtual, conda = tmp_path / "venv", tmp_path / "conda"
    active = {"VIRTUAL_ENV": str(virtual), "CONDA_PREFIX": str(conda)}
    assert prefix_in_use(active, lambda _: None) == virtual
    assert prefix_in_use({"CONDA_PREFIX": str(conda)}, lambda _: None) == conda
    gone = {"VIRTUAL_ENV": str(tmp_path / "gone")}
    assert prefix_in_use(gone, lambda _: None) is None
    on_path = {"python": str(virtual / "bin/python")}
    assert prefix_in_use({}, on_path.get) == virtual


def test_the_hosts_own_python_is_no_environment():
    assert prefix_of(Path("/usr/bin/python3")) is None


def test_a_script_that_chooses_a_python_is_asked(tmp_path):
    shim = tmp_path / "shims/python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    assert prefix_of(shim) == Path(sys.prefix)
    shim.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(UsageError, match="does not run"):
        prefix_of(shim)


def notebook(path, kernel):
    content = {"cells": [], "metadata": {"kernelspec": {"name": kernel}}}
    path.write_text(json.dumps(content))
    return path


def test_a_notebook_has_the_environment_of_its_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (other / "pyvenv.cfg").write_text("")
    kernel = tmp_path / "jupyter/kernels/mine/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": [str(other / "bin/python"), "-m", "x"]}))
    here = Path("/opt/here")
    plain = notebook(tmp_path / "a.ipynb", "python3")
    assert prefix_of_notebook(plain, here) == here
    assert prefix_of_notebook(notebook(tmp_path / "b.ipynb", "mine"), here) == other
    with pytest.raises(UsageError, match="kernel 'root' is not installed here"):
        prefix_of_notebook(notebook(tmp_path / "c.ipynb", "root"), here)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": 1, "metadata": {}}'])
def test_what_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(UsageError, match="expected a notebook"):
        prefix_of_notebook(path, None)


def test_an_environment_that_cannot_execute_notebooks_says_so(tmp_path):
    packages = tmp_path / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    for missing in ("nbclient", "ipykernel"):
        with pytest.raises(UsageError, match=f"has no {missing}, which executes"):
            check_notebooks_run(tmp_path, Path("a.ipynb"))
        (packages / missing).mkdir()
    check_notebooks_run(tmp_path, Path("a.ipynb"))


def test_an_option_behind_a_notebook_is_no_program(tmp_path):
    wanted = Wanted(command=("a.ipynb", "--wait"), folder=tmp_path)
    with pytest.raises(UsageError, match="got '--wait'; options go before it"):
        request_of(wanted)
