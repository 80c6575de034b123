import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.warm import Identity
from gateway.workdir import Workdir, make_passable, remove_old


def create(workdir: Workdir, owner: Identity | None = None) -> None:
    workdir.create(certificate=b"cert", key=b"key", environment="{}", owner=owner)


def test_it_belongs_to_its_owner_and_nobody_else(tmp_path, monkeypatch) -> None:
    """dask-gateway's own local backend would give ``/`` away (2026.3.0)."""
    given = set()
    monkeypatch.setattr(os, "chown", lambda path, *_, **__: given.add(Path(path)))
    workdir = Workdir(tmp_path / "cluster")
    create(workdir, Identity(1234, 1234, ()))
    made = {Path(workdir.path.name, *p.parts[len(tmp_path.parts) + 1 :])
            for p in workdir.path.rglob("*")}  # fmt: skip
    assert all(path.is_relative_to(tmp_path) and path != tmp_path for path in given)
    assert len(given) == len(made) + 1
    assert all(p.stat().st_mode & 0o077 == 0 for p in workdir.path.rglob("*"))


def test_made_again_it_is_unchanged(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    workdir.key.write_bytes(b"the user's")
    create(workdir)
    assert workdir.key.read_bytes() == b"the user's"
    assert [p.name for p in tmp_path.iterdir()] == ["cluster"]


def test_who_claims_a_name(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    script = (
        "import sys; from gateway.template import claim; "
        "claim(sys.argv[1], executed=False); print('mine', flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(workdir.claim("worker"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout.readline() == "mine\n"
        found = workdir.claimed("worker", uid=os.getuid())
        assert found.pid == first.pid
        second = subprocess.run(command, capture_output=True, check=False)
        assert (second.returncode, second.stdout) == (0, b"")
        first.kill()
    assert workdir.claimed("worker", uid=os.getuid()) is None
    with subprocess.Popen(command, **pipes) as third:
        assert third.stdout.readline() == "mine\n"
        assert workdir.claimed("worker", uid=os.getuid()).pid == third.pid
        third.kill()


@pytest.mark.parametrize("content", ["", "[]", '{"pid": "x"}', '{"pid": 1}', "{" * 999])
def test_a_claim_that_its_owner_spoilt_is_nobody(tmp_path, content: str) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    workdir.claim("worker").write_text(content)
    assert workdir.claimed("worker", uid=os.getuid()) is None


def test_a_claim_on_a_process_of_somebody_else_is_nobody(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    claim = {"pid": os.getpid(), "start_ticks": int(stat[19])}
    workdir.claim("worker").write_text(json.dumps(claim))
    assert workdir.claimed("worker", uid=os.getuid()).pid == os.getpid()
    assert workdir.claimed("worker", uid=os.getuid() + 1) is None


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_claim_that_is_no_file_does_not_hold_us(tmp_path: Path, kind: str) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    if kind == "pipe":
        os.mkfifo(workdir.claim("worker"))
    else:
        workdir.claim("worker").symlink_to("/etc/passwd")
    assert workdir.claimed("worker", uid=os.getuid()) is None


def test_logs_stay_and_old_folders_go(tmp_path: Path) -> None:
    for name in ("old", "running", "new"):
        create(Workdir(tmp_path / name))
        Workdir(tmp_path / name).log("worker").write_text("said")
        Workdir(tmp_path / name).remove_private()
        assert [p.name for p in (tmp_path / name).iterdir()] == ["logs"]
    for name in ("old", "running"):
        os.utime(tmp_path / name, (1000, 1000))
    remove_old(tmp_path, before=2000, keep={"running"})
    assert {p.name for p in tmp_path.iterdir()} == {"running", "new"}


def test_what_a_user_left_behind_does_not_hold_us(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "cluster")
    create(workdir)
    workdir.expected_environment.unlink()
    workdir.expected_environment.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (workdir.path / "claims").rmdir()
    (workdir.path / "claims").symlink_to(outside)
    before = Path.cwd()
    os.chdir(workdir.path / "spill")
    for _ in range(3000):  # deeper than Python calls
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(before)
    workdir.remove_private()
    assert not workdir.expected_environment.exists()
    assert not workdir.certificate.exists()
    assert [p.name for p in outside.iterdir()] == ["kept"]
    os.utime(workdir.path, (1000, 1000))
    remove_old(tmp_path, before=2000, keep={"outside"})
    subprocess.run(["/bin/rm", "-rf", str(workdir.path)], check=True)


def test_a_passable_folder_is_made_with_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = os.umask(0o077)
    try:
        make_passable(tmp_path / "id" / "clusters")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("id", "id/clusters")]
    assert modes == [0o711, 0o711]
    assert tmp_path.stat().st_mode & 0o777 == 0o700
