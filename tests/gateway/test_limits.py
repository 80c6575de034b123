import os
import subprocess
from pathlib import Path

import pytest

from gateway.limits import (
    AffinityLimiter,
    CgroupLimiter,
    own_cgroups,
    settings,
    version_1,
    version_2,
)


def test_own_cgroups_of_both_versions() -> None:
    table = "5:cpu,cpuacct:/a\n4:memory:/b:c\n1:name=systemd:/\n0::/user.slice/x\n"
    groups = own_cgroups(table)
    assert groups["memory"] == "/b:c"
    assert groups["cpu"] == groups["cpuacct"] == "/a"
    assert groups[""] == "/user.slice/x"


def test_version_2_makes_siblings_of_our_own_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    parents = version_2({"": "/user.slice/app.slice/me.scope"}, tmp_path)
    assert parents == {"": tmp_path / "user.slice/app.slice"}


@pytest.mark.parametrize(
    ("own", "parents"),
    [({"": "/"}, {}), ({"memory": "/m"}, {}), ({"cpuset": "/"}, {})],
)
def test_without_the_controllers_there_is_no_group(own, parents, tmp_path) -> None:
    assert version_1(own, tmp_path) == parents
    assert version_2(own, tmp_path) == parents


@pytest.mark.parametrize(
    ("controller", "expected"),
    [
        (
            "",
            {"memory.max": "4096", "memory.oom.group": "1", "cpu.max": "200000 100000"},
        ),
        ("memory", {"memory.limit_in_bytes": "4096"}),
        ("cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "200000"}),
    ],
)
def test_settings(controller: str, expected: dict[str, str]) -> None:
    assert settings(controller, cores=2, memory=4096) == expected


def test_a_group_is_made_and_removed(tmp_path: Path) -> None:
    limiter = CgroupLimiter("facility", {"memory": tmp_path})
    applied = limiter.limit("worker", cores=1, memory=4096)
    assert applied.procs == (str(tmp_path / "facility-worker" / "cgroup.procs"),)
    limit = tmp_path / "facility-worker" / "memory.limit_in_bytes"
    assert limit.read_text() == "4096"
    limiter.release("unknown")


def test_an_unwritable_hierarchy_does_not_work(tmp_path: Path) -> None:
    assert not CgroupLimiter("facility", {"": tmp_path / "missing"}).works()


def test_affinity_takes_the_least_used_cpus() -> None:
    limiter = AffinityLimiter([0, 1, 2, 3])
    assert limiter.limit("a", cores=2, memory=0).cpus == (0, 1)
    assert limiter.limit("b", cores=1, memory=0).cpus == (2,)
    assert limiter.limit("c", cores=2, memory=0).cpus == (0, 3)
    limiter.release("a")
    assert limiter.limit("d", cores=1, memory=0).cpus == (1,)
    assert limiter.limit("e", cores=4, memory=0).cpus == ()


@pytest.mark.engines
def test_the_kernel_ends_what_takes_too_much_memory() -> None:
    """Needs root and a real hierarchy of version 1 or 2."""
    own = own_cgroups(Path("/proc/self/cgroup").read_text())
    limiters = [
        CgroupLimiter(f"test-{os.getpid()}", groups)
        for groups in (version_2(own), version_1(own))
        if groups
    ]
    working = [limiter for limiter in limiters if limiter.works()]
    assert working, f"no control group can be made here: {own}"
    limiter = working[0]
    applied = limiter.limit("hog", cores=1, memory=64 * 2**20)
    try:
        script = "for f in %s; do echo $$ > $f; done; exec %s -c 'b=bytearray(1<<30)'"
        done = subprocess.run(
            ["sh", "-c", script % (" ".join(applied.procs), "python3")],
            capture_output=True,
            check=False,
        )
        assert done.returncode == -9
    finally:
        limiter.release("hog")
