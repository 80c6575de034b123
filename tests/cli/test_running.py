"""Exit codes and errors, whatever is typed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from facility import __version__
from facility.cli import application
from facility.cli.running import run
from facility.local.paths import Place, Storage
from facility.local.preflight import Machine
from facility.runtime import MARK

MIB = 2**20


def test_version(type_command):
    answer = type_command("version")
    assert answer.code == 0
    assert answer.out.startswith(f"analysis-facility {__version__} (Python ")
    assert type_command("version", "--json").json["version"] == __version__


def test_help_names_every_command(type_command):
    answer = type_command("--help")
    assert answer.code == 0
    names = "up down status logs token demo doctor version config samples environment"
    for name in names.split():
        assert f" {name} " in answer.out


def test_a_group_without_a_command_shows_its_help_and_no_empty_line(type_command):
    answer = type_command("images")
    assert answer.code == 2
    assert "rollback" in answer.out
    assert answer.err == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("stats",), "No such command 'stats'. Did you mean 'status'?"),
        (("up", "--frob"), "No such option: --frob"),
        (("-C", "/no/such/place", "up"), "Invalid value for '--directory' / '-C'"),
        (("logs",), "Missing argument 'name'. (`facility logs --help` says"),
    ],
)
def test_a_mistyped_command_is_one_line(type_command, arguments, line):
    answer = type_command(*arguments)
    assert answer.code == 2
    assert answer.err.startswith(f"facility: {line}")
    assert answer.err.count("\n") == 1
    assert answer.out == ""


def test_an_unknown_key_is_a_line_with_its_place(type_command):
    Path("facility.yaml").write_text("hub:\n  prt: 3\n")
    answer = type_command("up")
    assert answer.code == 2
    assert answer.err.startswith("facility: facility.yaml:2:3: hub.prt: unknown key")
    assert answer.err.endswith("did you mean 'port'?\n")
    assert answer.err.count("\n") == 1


def test_with_json_an_error_is_a_problem(type_command):
    Path("facility.yaml").write_text("hub:\n  prt: 3\n")
    answer = type_command("up", "--json")
    assert answer.code == 2
    assert answer.err == ""
    assert answer.json["type"] == "about:blank"
    assert answer.json["title"] == "usage"
    assert answer.json["exit_code"] == 2
    assert answer.json["detail"].startswith("facility.yaml:2:3: hub.prt")


def test_up_on_a_port_in_use(type_command):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        Path("facility.yaml").write_text(f"hub:\n  port: {port}\n")
        answer = type_command("up")
    assert answer.code == 2
    start = f"facility: hub.port: 127.0.0.1:{port} is in use by process {os.getpid()} "
    assert answer.err.startswith(start)
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        (Machine(312 * MIB, 10**10, None, None), "facility: not enough memory: "),
        (Machine(10**10, MIB, None, None), "facility: not enough disk: "),
    ],
)
def test_up_on_a_machine_that_is_too_small(type_command, monkeypatch, machine, line):
    monkeypatch.setattr(Machine, "measure", lambda _: machine)
    answer = type_command("up")
    assert answer.code == 2
    assert answer.err.startswith(line)
    assert answer.err.count("\n") == 1


def test_a_full_disk_later_on_is_a_line_too(type_command, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28), "/state/x")

    monkeypatch.setattr("facility.local.start.ensure_secrets", full)
    answer = type_command("up")
    assert (answer.code, answer.err) == (
        2,
        "facility: /state/x: No space left on device\n",
    )


def test_a_full_disk_behind_stdout_is_one_line():
    program = "from facility.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        2,
        "facility: No space left on device\n",
    )


def test_down_when_not_running(type_command):
    assert type_command("down") == type_command("down")
    answer = type_command("down", "--json")
    assert answer.code == 0
    assert answer.json == {"was_running": False, "ended": 0, "seconds": 0.0}


def test_status_when_not_running(type_command):
    answer = type_command("status")
    assert answer.code == 3
    assert answer.out.startswith("no facility runs in ")
    answer = type_command("status", "--json")
    assert (answer.code, answer.json) == (3, {"running": False})


def test_status_names_what_a_killed_supervisor_left(type_command, tmp_path):
    place = Place.of(Path())
    place.ensure()
    place.remember(Storage("left-0", tmp_path))
    sleeper = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: "left-0"})
    try:
        answer = type_command("status")
    finally:
        sleeper.kill()
        sleeper.wait()
    assert answer.code == 3
    assert "has left 1 process: `facility up` takes over" in answer.out


def test_token_when_not_running(type_command):
    answer = type_command("token")
    assert answer.code == 3
    assert answer.err == (
        f"facility: no facility runs in {Path.cwd()}: `facility up` starts it\n"
    )


def test_down_says_where_nothing_ran(type_command):
    answer = type_command("down")
    assert answer.code == 0
    assert answer.out == f"no facility was running in {Path.cwd()}\n"


def test_logs_of_a_facility_that_never_was(type_command):
    answer = type_command("logs", "hub")
    assert answer.code == 3
    assert answer.err.startswith("facility: no facility runs in ")


def test_a_facility_is_found_from_a_folder_below_it(type_command, monkeypatch):
    top = Path.cwd()
    place = Place.of(top)
    place.ensure()
    storage = place.storage("ours")
    storage.ensure()
    place.remember(storage)
    (storage.log_dir / "hub.log").write_text("hello\n")
    below = top / "analysis/plots"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert type_command("logs", "hub").out == "hello\n"
    status = type_command("status")
    assert status.code == 3
    assert f"no facility runs in {top}: `facility -C {top} up` starts it" in status.out
    # What -C names is meant, and nothing above it.
    assert type_command("-C", str(below), "logs", "hub").code == 3


def test_the_unexpected_is_one_line_and_a_report(type_command, monkeypatch):
    def broken(**_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("facility.cli.running.app", broken)
    answer = type_command("status", "\udcff")  # no text, as a shell may pass it
    assert answer.code == 1
    start, _, rest = answer.err.partition(" (report: ")
    assert start == "facility: unexpected ZeroDivisionError: by zero"
    report = Path(rest.removesuffix(")\n"))
    assert "ZeroDivisionError" in report.read_text()
    assert "Traceback" not in answer.err


def test_ctrl_c_is_130(monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("facility.cli.running.app", interrupted)
    assert run(["status"]) == 130


def test_the_command_line_does_not_import_what_it_does_not_use(tmp_path):
    heavy = "{'numpy','httpx','facility.spec','ruamel.yaml','awkward','uproot','jupyterhub','dask'}"
    program = (
        "import sys, facility.cli; from facility.cli.running import run; "
        "run(['status']); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    output = subprocess.check_output(
        [sys.executable, "-c", program], text=True, cwd=tmp_path
    )
    assert output.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "completed"),
    [("facility st", "status"), ("facility samples li", "list")],
)
def test_completion(words, completed):
    environment = os.environ | {
        "_FACILITY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, "-c", "from facility.cli import main; main()"]
    output = subprocess.check_output(command, env=environment, text=True)
    assert output.split() == [completed]


def test_every_command_has_json():
    from typer.main import get_command

    for name, command in get_command(application.app).commands.items():
        if not hasattr(command, "commands"):
            options = {o for p in command.params for o in p.opts}
            assert "--json" in options, name


def test_logs_of_ones_own_server_and_of_nobody(tmp_path, monkeypatch, type_command):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = Place.of(tmp_path)
    place.ensure()
    storage = place.storage("test")
    storage.ensure()
    place.remember(storage)
    (storage.log_dir / "server-anna.log").write_text("ready\n")
    (storage.state_dir / "secret.log").write_text("hidden\n")
    assert type_command("-C", str(tmp_path), "logs", "server-anna").out == "ready\n"
    for name in ("../secret", "server-bob", "/etc/passwd"):
        done = type_command("-C", str(tmp_path), "logs", name)
        assert done.code == 2
        assert "expected one of server-anna" in done.err
