"""Up, down and crashes with real (small) processes."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from facility.errors import FacilityError
from facility.local.core import Phase, ProcessState
from facility.local.lock import is_locked, try_lock
from facility.local.start import start
from facility.local.supervisor import Supervisor
from facility.local.table import ProcessSpec
from facility.process import identify
from facility.spec import Facility


def test_up_and_down(standins):
    started = standins.up()
    assert not started.was_running
    assert standins.ledger.phase is Phase.READY
    assert [e.state for e in standins.ledger.processes] == [ProcessState.READY] * 2
    assert standins.pids_of("notebook")
    stopped = standins.down()
    assert stopped.was_running
    # Supervisor, hub, gateway; helper, notebook, launcher and the unmarked one.
    assert stopped.ended == 7
    assert standins.marked() == []
    assert not standins.storage.run_dir.exists()
    assert standins.storage.log_dir.exists()


def test_up_twice_is_up_once(standins):
    first = standins.up()
    pids = {p.identity for p in standins.marked()}
    second = standins.up()
    assert second.was_running
    assert second.runtime == first.runtime
    assert {p.identity for p in standins.marked()} == pids


def test_two_ups_at_once_make_one_facility(standins):
    program = (
        "import sys; from pathlib import Path; from facility.local.start import start; "
        "from facility.spec import Facility; "
        "s = start(Path(sys.argv[1]), Facility(), supervisor=tuple(sys.argv[2:])); "
        "print(s.was_running, s.runtime.ports.hub)"
    )
    command = [sys.executable, "-c", program, str(standins.directory)]
    both = [
        subprocess.Popen([*command, *standins.command()], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = sorted(p.communicate(timeout=60)[0].decode().split() for p in both)
    assert [a[0] for a in answers] == ["False", "True"]
    assert answers[0][1] == answers[1][1]
    supervisors = [p for p in standins.marked() if "standin_supervisor" in str(p)]
    assert len(supervisors) == 1


def test_a_supervisor_that_is_about_to_end_is_waited_for(standins):
    """Its files go first, its lock last."""
    standins.up()
    standins.down()
    handle = try_lock(standins.place.supervisor_lock)
    timer = threading.Timer(0.2, os.close, [handle])
    timer.start()
    assert not standins.up().was_running
    timer.join()


def test_a_supervisor_that_a_killed_up_has_just_started_is_found(standins):
    """It takes the lock after the next ``up`` has looked for it."""
    program = "import subprocess as s, sys; a = sys.argv[1:]; s.run(a); exit(s.call(a))"
    command = (sys.executable, "-c", program, *standins.command())
    started = start(standins.directory, Facility(), supervisor=command)
    assert started.was_running
    supervisors = [p for p in standins.marked() if "standin_supervisor" in str(p)]
    assert len(supervisors) == 1


def test_down_without_up(standins):
    stopped = standins.down()
    assert (stopped.was_running, stopped.ended) == (False, 0)


def test_down_twice(standins):
    standins.up()
    standins.down()
    assert not standins.down().was_running


def test_a_process_that_ignores_sigterm_ends_too(standins, monkeypatch):
    standins.up(table="stubborn")
    pid = standins.pid("hub")
    standins.down()
    assert identify(pid) is None


def test_a_killed_hub_comes_back_and_notebooks_live_on(standins, eventually):
    standins.up()
    notebooks = standins.pids_of("notebook")
    (helper,) = standins.pids_of("helper")
    gateway, killed = standins.pid("gateway"), standins.pid("hub")
    os.kill(killed, signal.SIGKILL)
    eventually(
        lambda: (
            standins.entry("hub").restarts == 1
            and standins.entry("hub").state is ProcessState.READY
        )
    )
    assert standins.pid("hub") != killed
    assert standins.pid("gateway") == gateway
    assert set(notebooks) <= set(standins.pids_of("notebook"))
    assert identify(helper) is None  # its session died with it, ports and all
    assert standins.entry("hub").error == "killed by SIGKILL"


def test_after_kill_of_the_supervisor_up_adopts(standins, eventually):
    first = standins.up()
    before = {name: standins.pid(name) for name in ("hub", "gateway")}
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    second = standins.up()
    assert not second.was_running
    assert second.runtime == first.runtime
    assert {name: standins.pid(name) for name in ("hub", "gateway")} == before
    # Adopted ones are not children, and are watched all the same.
    os.kill(before["gateway"], signal.SIGKILL)
    eventually(lambda: standins.entry("gateway").restarts == 1)
    standins.down()
    assert standins.marked() == []


def test_after_kill_of_everything_up_starts_afresh(standins, eventually):
    standins.up()
    for process in standins.marked():
        os.kill(process.identity.pid, signal.SIGKILL)
    eventually(lambda: standins.marked() == [])
    # A process that is being ended has no environment any more, but its locks still.
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    started = standins.up()
    assert not started.was_running
    assert standins.ledger.phase is Phase.READY


def test_after_kill_of_supervisor_and_hub_up_starts_what_is_missing(
    standins, eventually
):
    standins.up()
    hub, gateway = standins.pid("hub"), standins.pid("gateway")
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    os.kill(hub, signal.SIGKILL)
    eventually(lambda: identify(hub) is None)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    standins.up()
    assert standins.pid("hub") != hub
    assert standins.pid("gateway") == gateway


def test_a_process_started_but_not_recorded_is_adopted(standins, eventually):
    """Kill between start and record: the mark tells whose it is."""
    standins.up()
    hub = standins.pid("hub")
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    standins.storage.ledger_file.unlink()
    standins.up()
    assert standins.pid("hub") == hub
    standins.down()
    assert standins.marked() == []


def test_a_process_of_another_user_is_not_adopted(standins, eventually, monkeypatch):
    """Mark and arguments are public: who forges them would be taken for the hub."""
    runtime = standins.up().runtime
    hub = standins.pid("hub")
    (argv,) = [p.argv for p in standins.marked() if p.identity.pid == hub]
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    standins.storage.ledger_file.unlink()

    def adopted() -> set[str]:
        supervisor = Supervisor(runtime, (ProcessSpec("hub", argv),))
        return asyncio.run(supervisor._take_over())

    assert adopted() == {"hub"}
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert adopted() == set()


def test_another_configuration_is_not_adopted(standins, eventually):
    standins.up()
    hub = standins.pid("hub")
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    standins.up(Facility.model_validate({"hub": {"idle_timeout": 60}}))
    assert identify(hub) is None
    assert standins.pid("hub") != hub


def test_down_after_kill_of_the_supervisor_leaves_nothing(standins, eventually):
    standins.up()
    os.kill(standins.ledger.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not is_locked(standins.place.supervisor_lock))
    stopped = standins.down()
    assert not stopped.was_running
    assert stopped.ended == 6
    assert standins.marked() == []


def test_changed_keys_are_named(standins):
    standins.up()
    wanted = Facility.model_validate({"hub": {"idle_timeout": 60}, "version": 1})
    started = standins.up(wanted)
    assert started.was_running
    assert started.changed == ("hub.idle_timeout",)


def test_a_renamed_facility_is_still_the_same_one(standins):
    standins.up()
    started = standins.up(Facility(name="other"))
    assert started.was_running
    assert started.changed == ("name",)
    standins.down()
    assert standins.marked() == []


def test_a_hub_that_cannot_start_is_reported_with_its_last_words(standins, eventually):
    with pytest.raises(FacilityError) as caught:
        standins.up(table="broken")
    log = standins.storage.log_dir / "hub.log"
    assert str(caught.value) == (
        "hub failed 4 times: exit status 1; its last words: no such thing as a hub "
        f"(log: {log})"
    )
    eventually(lambda: standins.marked() == [])
    assert standins.down().ended == 0


def test_sigterm_to_the_supervisor_is_down(standins, eventually):
    standins.up()
    os.kill(standins.ledger.supervisor.pid, signal.SIGTERM)
    eventually(lambda: standins.marked() == [])
    assert not standins.storage.run_dir.exists()


def test_ports_stay_after_a_restart(standins):
    ports = standins.up().runtime.ports
    standins.down()
    assert standins.up().runtime.ports == ports


def test_files_are_private(standins):
    standins.up()
    storage = standins.storage
    for path in [storage.state_dir, *storage.state_dir.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_up_during_down_starts_it_again(standins, eventually):
    """The supervisor that the second `up` finds is already on its way out."""
    standins.up(table="stubborn")
    former = standins.ledger.supervisor
    os.kill(former.pid, signal.SIGTERM)
    eventually(lambda: standins.ledger.phase is Phase.STOPPING)
    standins.up(table="two")
    assert standins.ledger.supervisor != former
    assert standins.ledger.phase is Phase.READY
