"""Jobs from the command line, without an agent: recorded, listed, compared, cancelled."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from facility.open_places import OFFLOAD
from offload.jobs.changes import Observed
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.jobs.site_reports import SiteReport
from offload.jobs.stages import Outcome, Stage


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a facility that nobody runs, for this person's commands."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (tmp_path / "home").mkdir()
    settings = Settings(
        facility_id="test-1",
        state_dir=tmp_path / "jobs-state",
        launcher_socket=tmp_path / "launcher.sock",
        jobs_dir=tmp_path / "home/jobs",
    )
    settings.save(tmp_path / "offload.json")
    monkeypatch.setenv(OFFLOAD, str(tmp_path / "offload.json"))
    return settings


@pytest.fixture
def project(tmp_path, settings, monkeypatch, type_command):
    """A working folder with a program in it; commands are typed there."""
    folder = tmp_path / "home/project"
    folder.mkdir()
    (folder / "train.py").write_text("print('trained')\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def submitted(project, type_command):
    answer = type_command("submit", "--json", "--", "python3", "train.py")
    assert answer.code == 0, answer.err
    return answer.json["id"]


def finish(settings, job, *, code=0, outcome=Outcome.SUCCEEDED, log=b""):
    """Carry a job to its end, as an agent would."""
    number = int(job)
    folder = settings.folder(number)
    (folder / "logs").mkdir(parents=True)
    (folder / "logs/main.log").write_bytes(log)
    (folder / "outputs").mkdir()
    (folder / "outputs/result.txt").write_text("42\n")
    ledger = Ledger(settings.ledger)
    ledger.advance(number, Stage.FROZEN, Stage.STORED)
    ledger.advance(
        number, Stage.STORED, Stage.PLACED, site="here", site_reason="the only site"
    )
    ledger.advance(number, Stage.PLACED, Stage.TRANSFERRED)
    (index,) = ledger.sending(number, [0])
    ledger.accepted(number, {index: "s-1"})
    element, _ = ledger.element(number, 0)
    ended = Observed(Stage.RETURNING, "s-1", outcome=outcome, exit_code=code, started=1)
    ledger.observe({element.uid: ended})
    ledger.finish(number, [0], [Stage.RETURNING])
    ledger.close()


def test_submit_prints_the_id_alone_for_programs(project, type_command):
    answer = type_command("submit", "--json", "--", "python3", "train.py")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json == {"id": "1"}


def test_submit_tells_a_person_what_was_frozen(project, type_command, monkeypatch):
    monkeypatch.setattr("offload.jobs.submission.wake", lambda _: True)
    answer = type_command("submit", "python3", "train.py")
    assert answer.code == 0
    assert answer.out.startswith("job 1: 1 file (17 B) frozen in ")
    assert "`facility wait 1`" in answer.err


def test_submit_says_that_nobody_carries_the_job_yet(project, type_command):
    answer = type_command("submit", "python3", "train.py")
    assert answer.code == 0
    assert answer.err == (
        "facility: job 1: no agent carries it: the facility is not running; it goes on "
        "after `facility up`\n"
    )


def test_what_is_left_out_for_one_reason_is_one_line(project, type_command):
    subprocess.run(["git", "init", "-q"], check=True)
    Path(".gitignore").write_text("*.log\n")
    for number in range(7):
        Path(f"{number}.log").write_text("")
    answer = type_command("submit", "python3", "train.py")
    assert answer.err.splitlines()[0] == (
        "facility: left out (ignored by git): 0.log, 1.log, 2.log, 3.log, 4.log and 2 "
        "more"
    )


def test_the_environment_that_goes_along_is_not_called_left_out(project, type_command):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "old"], check=True)
    answer = type_command("submit", "--environment", ".venv", "--", "python", "x.py")
    assert answer.code == 0
    assert (
        answer.err.splitlines()[0] == "facility: left out (a Python environment): old"
    )


def test_what_follows_the_program_is_the_programs(project, type_command, settings):
    type_command("submit", "--count", "3", "python3", "train.py", "--count", "7")
    record = type_command("jobs", "1", "--json").json
    assert record["count"] == 3
    assert record["command"] == ["python3", "train.py", "--count", "7"]
    assert record["cwd"] == str(project)


def test_options_become_the_jobs_values(project, type_command, settings, tmp_path):
    store = settings.credentials_dir
    store.mkdir(parents=True)
    (store / "token").write_text("s")
    (store / "token").chmod(0o600)
    (tmp_path / "input.root").write_text("events")
    first = type_command("submit", "--json", "--", "true").json["id"]
    answer = type_command(
        *("submit", "--json", "--site", "here", "--time", "30m", "--memory", "2G"),
        *("--nodes", "2", "--after", first, "--outputs", "results/**", "--name", "n"),
        *("--input", str(tmp_path / "input.root"), "--with-credential", "token"),
        *("--env", "SEED=7", "--flags=--qos=high", "--", "python3", "train.py"),
    )
    assert answer.code == 0, answer.out
    ledger = Ledger(settings.ledger)
    spec = ledger.job(int(answer.json["id"])).spec
    ledger.close()
    assert (spec.site, spec.time_s, spec.memory_bytes) == ("here", 1800, 2 * 2**30)
    assert (spec.nodes, spec.tasks, spec.after) == (2, 2, (first,))
    assert (spec.outputs, spec.credentials) == (("results/**",), ("token",))
    assert spec.environment["SEED"] == "7"
    assert spec.flags == "--qos=high"
    shown = type_command("snapshot", "show", answer.json["id"], "--json").json
    assert str(tmp_path / "input.root") in [part["mount"] for part in shown["parts"]]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--site", "cern", "x"), "site 'cern': the facility has no such site; there"),
        ((), "nothing to run: give a command after --, or a notebook"),
        (("--time", "soon", "x"), "--time: expected a duration such as '30 min', got"),
        (("--time", "-5", "x"), "--time: expected a duration such as '30 min', got '-"),
        (("--time", "9999d", "x"), "--time (in seconds): input should be less than"),
        (("--memory", "0", "x"), "--memory (in bytes): input should be greater than"),
        (("--memory", "999T", "x"), None),
        (("--memory", "9999T", "x"), "--memory (in bytes): input should be less than"),
        (("--count", "0", "x"), "--count: input should be greater than or equal to 1"),
        (("--nodes", "4", "--tasks", "2", "x"), "2 tasks cannot fill 4 nodes"),
        (("--slice", "../x", "x"), "--slice: "),
        (("--after", "7", "x"), "--after 7: there is no such job"),
        (("--after", "soon", "x"), "--after: "),
        (("--env", "=x", "x"), "--env: expected NAME=VALUE, got '=x'"),
        (("--input", "nope", "x"), "--input nope: no such file or folder"),
        (("--with-credential", "nope", "x"), "credential 'nope': no file "),
        (("--environment", "/tmp", "x"), "--environment /tmp: expected the prefix"),
        (("./nope.sh",), "./nope.sh: no such file in "),
        (("./train.py",), "./train.py: expected a program, got a file that cannot be"),
        (("nope.ipynb",), "nope.ipynb: expected a notebook in "),
        (("--frob", "x"), "No such option: --frob"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_recorded(
    project, type_command, arguments, line
):
    answer = type_command("submit", *arguments)
    if line is None:
        assert answer.code == 0
        return
    assert answer.code == 2, answer
    assert answer.err.startswith(f"facility: {line}"), answer.err
    assert answer.err.count("\n") == 1
    assert type_command("jobs", "--json").json == []


def test_secrets_are_refused_with_file_and_line_and_a_way_on(project, type_command):
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAA\n" * 5
    (project / "id_site").write_text(key + "-----END OPENSSH PRIVATE KEY-----\n")
    answer = type_command("submit", "true")
    assert answer.code == 2
    assert answer.err.startswith("facility: id_site")
    assert "--allow PATH" in answer.err
    assert answer.err.count("\n") == 1
    assert type_command("jobs", "--json").json == []
    assert type_command("submit", "--json", "--allow", "id_site", "true").code == 0


def test_home_itself_does_not_travel(project, type_command, monkeypatch):
    monkeypatch.chdir(Path.home())
    answer = type_command("submit", "true")
    assert answer.code == 2
    assert "this is your home folder; change to a sub-folder" in answer.err


def test_without_a_facility_it_says_how_to_start_one(
    type_command, monkeypatch, tmp_path
):
    monkeypatch.delenv(OFFLOAD, raising=False)
    answer = type_command("submit", "true")
    assert answer.code == 3
    assert answer.err == (
        f"facility: no facility in {Path.cwd()} or above, and none of yours runs "
        "elsewhere: `facility up` starts one, `-C DIR` names one\n"
    )
    answer = type_command("jobs", "--json")
    assert (answer.code, answer.json["exit_code"]) == (3, 3)
    answer = type_command("-C", str(tmp_path), "jobs")
    assert answer.err == (
        f"facility: no facility was ever started in {tmp_path}: `facility up` starts "
        "one there\n"
    )


def test_jobs_says_what_waits_for_what(submitted, type_command):
    answer = type_command("jobs")
    assert answer.code == 0
    assert "python3 train.py" in answer.out
    assert "frozen" in answer.out
    assert "job 1 is waiting: no agent carries it: the facility is not" in answer.out
    (record,) = type_command("jobs", "--json").json
    assert (record["id"], record["stage"], record["outcome"]) == ("1", "frozen", None)
    assert record["waiting"].startswith("no agent carries it")


def test_no_jobs_yet(project, type_command):
    answer = type_command("jobs")
    assert (answer.code, answer.out) == (0, "")
    assert type_command("jobs", "--json").json == []


@pytest.mark.parametrize("command", ["jobs", "wait", "logs", "cancel", "fetch", "diff"])
@pytest.mark.parametrize("name", ["7", "7.1", "0", "7x"])
def test_an_unknown_job_is_one_line(submitted, type_command, command, name):
    answer = type_command(command, name)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert f"{name.partition('.')[0]}" in answer.err


def test_wait_until_outputs_are_in_place(submitted, type_command, settings):
    finish(settings, submitted)
    answer = type_command("wait", submitted)
    assert answer.code == 0
    assert answer.out.startswith("job 1 succeeded; outputs and logs: ")
    stages = [line.split()[0] for line in answer.err.splitlines()]
    assert stages == ["frozen", "stored", "placed", "transferred", *stages[4:]]
    assert stages[-1] == "done"
    assert "here: the only site" in answer.err
    assert type_command("wait", submitted, "--json").json["outcome"] == "succeeded"


@pytest.mark.parametrize(
    ("code", "outcome", "expected"),
    [
        (7, Outcome.FAILED, 7),
        (None, Outcome.CANCELLED, 1),
        (137, Outcome.OUT_OF_MEMORY, 137),
        (None, Outcome.TIMED_OUT, 1),
    ],
)
def test_the_exit_code_of_wait_is_the_jobs(
    submitted, type_command, settings, code, outcome, expected
):
    finish(settings, submitted, code=code, outcome=outcome)
    answer = type_command("wait", submitted)
    assert answer.code == expected
    assert answer.out.startswith(f"job 1 {outcome.value.replace('_', ' ')}")


def test_wait_shows_the_end_of_the_log_of_what_failed(
    submitted, type_command, settings
):
    log = b"".join(b"line %d\n" % number for number in range(50)) + b"\x1b[2Jwhy\n"
    finish(settings, submitted, code=3, outcome=Outcome.FAILED, log=log)
    answer = type_command("wait", submitted)
    assert answer.code == 3
    *_, head, second_last, last = answer.err.splitlines()
    assert (second_last, last) == ("  line 49", "  \\x1b[2Jwhy")
    shown = answer.err.partition("the last lines of `facility logs 1`:\n")[2]
    assert shown.count("\n") == 10
    assert "traceback" not in head


def test_a_cancelled_job_says_so_once(submitted, type_command, settings):
    finish(settings, submitted, code=None, outcome=Outcome.CANCELLED)
    assert type_command("wait", submitted).out.startswith("job 1 cancelled; outputs")


def test_wait_gives_up_when_told_to(submitted, type_command):
    answer = type_command("wait", submitted, "--timeout", "0.05")
    assert answer.code == 1
    assert "facility: job 1 is not done after 0.05 s\n" in answer.err


def test_logs_of_a_job_that_is_gone_byte_for_byte(submitted, type_command, settings):
    finish(settings, submitted, log=b"one\ntwo\r\nthree")
    assert type_command("logs", submitted).out == "one\ntwo\r\nthree"
    assert type_command("logs", submitted, "--tail", "2").out == "two\r\nthree"
    assert type_command("logs", submitted, "-n", "0").out == ""
    assert type_command("logs", submitted, "--json").json == {
        "name": "1",
        "lines": ["one", "two", "three"],
    }


def test_following_waits_for_a_job_that_no_site_has_yet(
    submitted, type_command, settings
):
    agent = threading.Timer(0.3, finish, (settings, submitted), {"log": b"done\n"})
    agent.start()
    answer = type_command("logs", submitted, "-f")
    agent.join()
    assert (answer.code, answer.out) == (0, "done\n")
    assert answer.err.startswith("waiting: no agent carries it")


@pytest.mark.parametrize(
    "option", [("--tail", "1"), ("--since", "1h"), ("--previous",)]
)
def test_following_shows_everything(submitted, type_command, option):
    answer = type_command("logs", submitted, "-f", *option)
    assert answer.code == 2
    assert answer.err.startswith("facility: --follow shows everything")


def test_since_and_previous_are_the_sites_to_tell(submitted, type_command, settings):
    for option in (("--since", "1h"), ("--previous",)):
        answer = type_command("logs", submitted, *option)
        assert answer.code == 3
        assert (
            "no agent answers (No such file or directory): `facility up`" in answer.err
        )
        assert type_command("logs", "hub", *option).code == 2
    assert type_command("logs", submitted, "--since", "soon").code == 2


def test_logs_while_nobody_can_fetch_them(submitted, type_command):
    answer = type_command("logs", submitted)
    assert answer.code == 3
    assert "job 1 is frozen: its log is at the site and no agent answers" in answer.err


def test_cancel_is_recorded_once_and_all_or_none(submitted, type_command):
    assert type_command("cancel", submitted, "99").code == 2
    assert not type_command("jobs", "1", "--json").json["waiting"].startswith("cancel")
    assert type_command("cancel", submitted).out == "job 1 is being cancelled\n"
    assert type_command("cancel", submitted, "--json").json == {"1": False}
    assert "cancelling" in type_command("jobs").out


def test_fetch_names_what_came_back(submitted, type_command, settings, tmp_path):
    answer = type_command("fetch", submitted)
    assert answer.code == 2
    assert "job 1 is frozen: outputs come when it has ended" in answer.err
    finish(settings, submitted, log=b"x")
    lines = type_command("fetch", submitted).out.splitlines()
    assert lines[0] == str(settings.folder(1))
    assert "  outputs/result.txt" in lines
    copied = type_command("fetch", submitted, "--to", str(tmp_path / "to"), "--json")
    assert str(tmp_path / "to/outputs/result.txt") in copied.json["files"]
    assert (tmp_path / "to/outputs/result.txt").read_text() == "42\n"


def test_diff_shows_frozen_against_now(project, submitted, type_command):
    answer = type_command("diff", submitted)
    assert answer.out == "nothing has changed since job 1 was frozen\n"
    (project / "train.py").write_text("print('other')\n")
    (project / "new.py").write_text("")
    lines = type_command("diff", submitted).out.splitlines()
    assert sorted(lines) == [f"+ {project}/new.py", f"~ {project}/train.py"]
    assert type_command("diff", submitted, "--json").json["code"]["added"] == ["new.py"]


def test_snapshots_are_created_shown_verified_and_collected(
    project, submitted, type_command, settings
):
    job_image = type_command("jobs", submitted, "--json").json["image"]
    (project / "other.py").write_text("1")
    made = type_command("snapshot", "create", "--json").json
    assert made["image"] != job_image
    assert type_command("snapshot", "create").out == f"{made['image']}\n"
    shown = type_command("snapshot", "show", made["image"])
    assert f"code      {project}: 2 files" in shown.out
    assert type_command("snapshot", "verify", submitted).out.endswith(" is whole\n")
    for blob in (settings.snapshots / "blobs/sha256").iterdir():
        os.utime(blob, (1, 1))  # as if frozen long ago
    answer = type_command("snapshot", "gc", "--json")
    assert answer.json["images"] == 1
    assert type_command("snapshot", "show", made["image"]).code == 2
    assert type_command("snapshot", "verify", submitted, "--json").json == []


def test_a_damaged_snapshot_is_told(submitted, type_command, settings):
    image = type_command("jobs", submitted, "--json").json["image"]
    blobs = settings.snapshots / "blobs/sha256"
    largest = max(
        (p for p in blobs.iterdir() if p.name != image.removeprefix("sha256:")),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(content)
    answer = type_command("snapshot", "verify", submitted)
    assert answer.code != 0
    assert answer.out or answer.err


def test_sites_as_they_were_seen_last(project, type_command, settings):
    assert "not asked yet" in type_command("site", "list").out
    ledger = Ledger(settings.ledger)
    info = {"slices": {"nvidia.com/mig-1g.5gb": 7}, "architecture": "x86_64"}
    ledger.sites.record(
        SiteReport("here", "paused", "away", 9e9, json.dumps(info), 1.0)
    )
    ledger.close()
    (record,) = type_command("site", "list", "--json").json
    assert (record["state"], record["where"]) == ("paused", "this machine")
    assert record["info"]["slices"] == {"nvidia.com/mig-1g.5gb": 7}
    assert "paused: away (until " in type_command("site", "list").out


def test_a_slice_that_no_site_has_is_refused_with_those_there_are(
    project, type_command, settings
):
    ledger = Ledger(settings.ledger)
    info = {"slices": {"nvidia.com/mig-1g.5gb": 7}}
    ledger.sites.record(SiteReport("here", "ready", "", None, json.dumps(info), 1.0))
    ledger.close()
    answer = type_command("submit", "--slice", "7g.40gb", "true")
    assert answer.code == 2
    assert "has no slice 7g.40gb" in answer.err
    assert "nvidia.com/mig-1g.5gb" in answer.err
    assert type_command("jobs", "--json").json == []


def test_check_of_an_unknown_site_and_without_an_agent(project, type_command):
    answer = type_command("site", "check", "cern")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "there are: here" in answer.err
    answer = type_command("site", "check", "here")
    assert answer.code == 3
    assert answer.err == "facility: no agent runs: `facility up` starts one\n"


def test_every_lazy_command_has_json_and_help():
    from facility.cli.lazy import COMMANDS, load_command

    for name in COMMANDS:
        command = load_command(name)
        inner = getattr(command, "commands", {name: command})
        for word, one in inner.items():
            options = {o for p in one.params for o in p.opts}
            assert "--json" in options or word == "schema", (name, word)
            assert one.help or one.short_help, (name, word)


def test_help_of_submit_imports_nothing_of_offload():
    program = (
        "import sys; from facility.cli.running import run; run(['submit', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith(('offload', "
        "'sqlalchemy', 'facility.spec', 'facility.client.'))))"
    )
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output.splitlines()[-1] == "[]"
