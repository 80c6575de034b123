"""Which facility is meant: named, told, of the folder or above, or the one that runs."""

import json
import os
import pwd
from contextlib import ExitStack
from pathlib import Path

import pytest

from facility import open_places
from facility.client.offload_settings import settings_file
from facility.errors import NotRunningError, UsageError
from facility.local.lock import locked
from facility.local.paths import Place
from facility.open_places import OFFLOAD
from facility.runtime import Ports, Runtime
from facility.spec import Facility


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Make what a start leaves in a directory; with ``runs``, as if it still ran."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(OFFLOAD, raising=False)
    # Where root's facilities have the file; a person's own has it in its state.
    monkeypatch.setattr(open_places, "_OPEN", tmp_path / "open")
    with ExitStack() as running:

        def start(name: str, *, runs: bool) -> Path:
            directory = tmp_path / name
            directory.mkdir()
            place = Place.of(directory)
            place.ensure()
            storage = place.storage("ours")
            storage.ensure()
            place.remember(storage)
            ports = Ports(**dict.fromkeys(Ports.model_fields, 1))
            runtime = Runtime(
                id=storage.id,
                directory=directory,
                state_dir=storage.state_dir,
                run_dir=storage.run_dir,
                owner="anna",
                multi_user=os.geteuid() == 0,
                ports=ports,
                spec=Facility(),
            )
            runtime.save()
            runtime.open_dir.mkdir(parents=True, exist_ok=True)
            runtime.offload_file.write_text("{}")
            if runs:
                running.enter_context(locked(place.supervisor_lock))
            return runtime.offload_file

        yield start


def chdir(monkeypatch, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)


def test_the_one_that_is_named(started, tmp_path, monkeypatch):
    file = started("a", runs=False)
    started("b", runs=True)
    monkeypatch.setenv(OFFLOAD, "/told.json")
    assert settings_file(tmp_path / "a") == file


def test_the_one_that_a_notebook_was_told(started, tmp_path, monkeypatch):
    started("a", runs=True)
    chdir(monkeypatch, tmp_path / "a")
    monkeypatch.setenv(OFFLOAD, "/told.json")
    assert settings_file() == Path("/told.json")


def test_the_one_of_a_folder_above_though_another_runs(started, tmp_path, monkeypatch):
    file = started("a", runs=False)
    started("b", runs=True)
    chdir(monkeypatch, tmp_path / "a" / "deep" / "down")
    assert settings_file() == file


def test_the_only_one_that_runs(started, tmp_path, monkeypatch):
    started("a", runs=False)
    file = started("b", runs=True)
    chdir(monkeypatch, tmp_path / "project")
    assert settings_file() == file


def test_of_several_none_is_chosen(started, tmp_path, monkeypatch):
    started("a", runs=True)
    started("b", runs=True)
    chdir(monkeypatch, tmp_path / "project")
    with pytest.raises(UsageError) as caught:
        settings_file()
    assert str(caught.value) == (
        f"2 facilities of yours run, in {tmp_path}/a, {tmp_path}/b: say which, with "
        "`facility -C DIR`"
    )


def test_one_that_ended_is_not_found_from_elsewhere(started, tmp_path, monkeypatch):
    started("a", runs=False)
    chdir(monkeypatch, tmp_path / "project")
    with pytest.raises(NotRunningError, match="none of yours runs elsewhere"):
        settings_file()


def test_what_a_demo_has_removed_is_passed_over(started, tmp_path, monkeypatch):
    started("a", runs=False).unlink()
    file = started("b", runs=True)
    chdir(monkeypatch, tmp_path / "a")
    assert settings_file() == file


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Make what a facility of root's shows to its people."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(OFFLOAD, raising=False)
    monkeypatch.setattr(open_places, "_OPEN", tmp_path / "open")
    me = pwd.getpwuid(os.geteuid()).pw_name

    def serve(name: str, people: tuple[str, ...] = (me,), *, runs: bool = True) -> Path:
        folder = tmp_path / "open" / name
        folder.mkdir(parents=True)
        socket = folder / "agents.sock"
        if runs:
            socket.touch()
        settings = {"people": people, "launcher_socket": str(socket)}
        (folder / "offload.json").write_text(json.dumps(settings))
        return folder / "offload.json"

    return serve


def test_who_logs_in_by_ssh_finds_the_facility_that_serves_him(
    served, tmp_path, monkeypatch
):
    served("others", ("somebody",))
    served("over", runs=False)
    served("odd").write_text("[]")
    file = served("his")
    chdir(monkeypatch, tmp_path / "project")
    assert settings_file() == file
    other = served("second")
    with pytest.raises(UsageError) as caught:
        settings_file()
    assert str(caught.value) == (
        "2 facilities run that serve you: say which, with "
        f"FACILITY_OFFLOAD={file} or FACILITY_OFFLOAD={other}"
    )
