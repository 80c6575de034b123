from pathlib import Path

import pytest

from facility.local import doctor
from facility.local.doctor import Verdict, cgroups, examine
from facility.local.paths import Storage
from facility.local.preflight import Machine
from facility.spec import Facility, loads

MIB = 2**20


def verdicts(findings):
    return {finding.name: finding for finding in findings}


def look(tmp_path, *, is_running=False):
    storage = Storage("name-1", tmp_path / "state")
    return verdicts(examine(storage, Facility(), is_running=is_running))


def test_each_thing_is_checked_and_each_absence_explained(tmp_path):
    found = look(tmp_path)
    assert set(found) == {
        "python", "ports", "memory", "disk", "open files", "gpu", "cgroups", "slurm",
        "sandbox", "fuse", "cvmfs",
    }  # fmt: skip
    for finding in found.values():
        assert (finding.meaning == "") == (finding.verdict is Verdict.OK), finding
        assert finding.found


def test_what_is_required_is_missing_and_the_rest_only_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(Machine, "measure", lambda _: Machine(MIB, MIB, 1, 1))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = look(tmp_path)
    for name in ("memory", "disk", "open files"):
        assert found[name].verdict is Verdict.MISSING
    for name in ("gpu", "slurm", "sandbox"):
        assert found[name].verdict is Verdict.ABSENT
    assert found["memory"].found == "1 MiB free"
    assert found["memory"].meaning == "a start needs 800 MiB"


def test_a_running_facility_has_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(Machine, "measure", lambda _: Machine(MIB, MIB, 1, 65536))
    assert look(tmp_path, is_running=True)["memory"].verdict is Verdict.OK


def test_commands_are_found_on_the_path(tmp_path, monkeypatch):
    for name in ("sbatch", "bwrap"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    gpu = tmp_path / "nvidia-smi"
    gpu.write_text("#!/bin/sh\necho name, memory\necho NVIDIA A100, 40960 MiB\n")
    gpu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = look(tmp_path)
    assert found["slurm"].found == str(tmp_path / "sbatch")
    assert found["sandbox"].verdict is Verdict.OK
    assert found["gpu"].found == "NVIDIA A100, 40960 MiB"


@pytest.mark.parametrize(
    ("folders", "own", "verdict", "found"),
    [
        ([], "0::/\n", Verdict.ABSENT, "none"),
        (["memory/job"], "9:memory:/job\n0::/\n", Verdict.OK, "v1, writable"),
        (["a/b"], "0::/a/b\n", Verdict.OK, "v2, writable"),
        ([], "0::/gone\n", Verdict.ABSENT, "v2, not writable"),
    ],
)
def test_cgroups(tmp_path: Path, folders, own, verdict, found):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    if "v2" in found:
        (tmp_path / "cgroup.controllers").write_text("memory\n")
    finding = cgroups(tmp_path, own)
    assert (finding.verdict, finding.found) == (verdict, found)


@pytest.mark.parametrize(
    ("text", "verdict", "found"),
    [
        ("{name: a, host: login.example.org}", Verdict.OK, "by SSH at login.example"),
        ("{name: a, keys: [{key: ssh-ed25519 AA}]}", Verdict.OK, "dials in (1 key)"),
        ("{name: a}", Verdict.OK, "this machine (process)"),
        ("{name: a, kind: slurm}", Verdict.ABSENT, "no sbatch on this machine"),
    ],
)
def test_each_site_says_how_it_is_reached(text, verdict, found):
    (site,) = loads(f"sites: [{text}]", directory=Path("/")).sites
    finding = doctor._site(site, which=lambda _: None)
    assert (finding.name, finding.verdict) == ("site a", verdict)
    assert finding.found.startswith(found)
    assert bool(finding.meaning) == (verdict is Verdict.ABSENT)
