"""Root's facility: each person's agent, plugin and jobs under his own uid."""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from offload.jobs.people import person_of
from offload.jobs.settings import Settings
from offload.jobs.unix_sockets import listener

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes accounts: needs root"),
]

PERSON = """\
import json, os, pathlib, sys
from offload.jobs import queries
from offload.jobs.settings import Settings
from offload.jobs.specification import job_spec
from offload.jobs.submission import submit
from offload.snapshot import LocalStore, Request, freeze

settings = Settings.from_environment()
root = pathlib.Path.home() / "project"
root.mkdir()
(root / "who.py").write_text(
    "import os; os.mkdir('results'); open('results/uid', 'w').write(str(os.getuid()))"
)
snapshot = freeze(Request(root), LocalStore(settings.snapshots))
spec = job_spec(command=["/usr/bin/python3", "who.py"], root=root, cwd=root,
                outputs=["results/**"])
job = queries.wait(settings, str(submit(snapshot, spec, settings)), timeout_s=100)
result = root / "results/uid"
print(json.dumps({"outcome": job.outcome, "message": job.message,
                  "ran_as": result.read_text(), "owner": result.stat().st_uid}))
"""


def processes_of(name: str) -> list[psutil.Process]:
    return [
        p
        for p in psutil.process_iter(["username", "status", "cmdline"])
        if p.info["username"] == name and p.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture
def users(change_accounts):
    names = [f"facility-{secrets.token_hex(4)}" for _ in range(2)]
    for name in names:
        change_accounts("useradd", "--create-home", "--shell", "/bin/bash", name)
    yield names
    for name in names:
        end = time.monotonic() + 10  # what has done its work may be ending
        while (left := processes_of(name)) and time.monotonic() < end:
            time.sleep(0.05)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, 10)
        uid = pwd.getpwnam(name).pw_uid
        change_accounts("userdel", "--remove", name)
        # What his programs share in /tmp: uids are given again.
        shutil.rmtree(f"/tmp/analysis-facility-{uid}", ignore_errors=True)
        assert [p.info["cmdline"] for p in left] == []


@pytest.fixture
def settings(users):
    folder = Path(tempfile.mkdtemp(prefix="several-"))
    folder.chmod(0o711)
    settings = Settings(
        facility_id=folder.name,
        state_dir=Path("~/.local/state/analysis-facility") / folder.name / "jobs",
        launcher_socket=folder / "agents.sock",
        multi_user=True,
        people=tuple(users),
    )
    file = folder / "offload.json"
    settings.save(file, mode=0o644)
    environment = os.environ | {"FACILITY_OFFLOAD": str(file), "SECRET": "root's"}
    with (folder / "log").open("wb") as log:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "offload.jobs.launcher"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield settings
        launcher.terminate()
        assert launcher.wait(60) == 0
    finally:
        launcher.kill()
        launcher.wait()
        print((folder / "log").read_text())
        subprocess.run(["rm", "-rf", folder], check=True)


def as_person(settings, name: str, program: str) -> str:
    account = pwd.getpwnam(name)
    done = subprocess.run(
        [sys.executable, "-c", program],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        env={
            "PATH": os.environ["PATH"],
            "HOME": account.pw_dir,
            "FACILITY_OFFLOAD": str(settings.launcher_socket.parent / "offload.json"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_person_has_an_agent_of_his_own(settings, users, until) -> None:
    until(settings.launcher_socket.exists)
    for name in users:
        account = pwd.getpwnam(name)
        said = json.loads(as_person(settings, name, PERSON))
        assert said["outcome"] == "succeeded", said
        assert said["owner"] == account.pw_uid
        assert int(said["ran_as"]) == account.pw_uid
        person = person_of(account.pw_uid, settings)
        identity = listener(person.agent_socket(settings), uid=account.pw_uid)
        agent = psutil.Process(identity.pid)
        assert set(agent.uids()) == {account.pw_uid}
        assert set(agent.gids()) == {account.pw_gid}
        groups = Path(f"/proc/{agent.pid}/status").read_text()
        line = next(x for x in groups.splitlines() if x.startswith("Groups:"))
        assert set(map(int, line.split()[1:])) == set(person.groups)
        assert "SECRET" not in agent.environ()
        log = person.log(settings)
        status = log.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (account.pw_uid, 0o600)
        for stream in (1, 2):  # nothing of root's is open in it
            assert Path(f"/proc/{agent.pid}/fd/{stream}").readlink() == log
        (plugin,) = agent.children()
        assert set(plugin.uids()) == {account.pw_uid}


def test_others_have_no_agent(settings, users, until) -> None:
    until(settings.launcher_socket.exists)
    said = as_person(
        settings,
        "nobody",
        "from offload.jobs.settings import Settings\n"
        "from offload.jobs.errors import JobsError\n"
        "from offload.jobs.wake import wake\n"
        "try:\n"
        "    wake(Settings.from_environment())\n"
        "except JobsError as error:\n"
        "    print(error)",
    )
    assert said == "user 'nobody': not in users of facility.yaml\n"
