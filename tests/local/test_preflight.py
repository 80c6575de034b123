import os
from pathlib import Path

import pytest

from facility.errors import UsageError
from facility.local import preflight
from facility.local.memory import available_memory
from facility.local.preflight import Machine, check_machine, lacks

MIB = 2**20
ENOUGH = Machine(8192 * MIB, 8192 * MIB, 10**6, 65536)
STATE = Path("/state/x")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"memory_bytes": 312 * MIB},
            (
                "not enough memory: hub, gateway, proxy, agents and a notebook server "
                "need 800 MiB, 312 MiB are available: end other programs, or take a "
                "larger machine"
            ),
        ),
        (
            {"disk_bytes": 3 * MIB},
            (
                "not enough disk: /state/x needs 100 MiB, 3 MiB are free: make room, or "
                "set storage.state to a directory on another disk"
            ),
        ),
        (
            {"inodes": 7},
            (
                "not enough inodes: /state/x needs 100 files, 7 can be created: remove "
                "files, or set storage.state to another disk"
            ),
        ),
        (
            {"open_files": 256},
            (
                "too few open files: the proxy needs 1024, the hard limit is 256: raise "
                "it with `ulimit -Hn 1024`"
            ),
        ),
    ],
)
def test_each_lack_is_one_line(change, line):
    values = {f: getattr(ENOUGH, f) for f in Machine.__slots__} | change
    assert lacks(Machine(**values), STATE) == [line]


def test_enough_is_enough():
    assert lacks(ENOUGH, STATE) == []
    assert lacks(Machine(8192 * MIB, 8192 * MIB, None, None), STATE) == []


def test_all_lacks_are_told_at_once(monkeypatch):
    machine = Machine(MIB, MIB, 1, 1)
    monkeypatch.setattr(Machine, "measure", lambda _: machine)
    with pytest.raises(UsageError) as caught:
        check_machine(STATE)
    assert len(str(caught.value).splitlines()) == 4


def test_a_directory_that_is_not_there_yet_is_measured(tmp_path):
    machine = Machine.measure(tmp_path / "a" / "b")
    disk = os.statvfs(tmp_path)
    assert machine.disk_bytes == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.1)
    assert machine.memory_bytes > 0


def group(directory: Path, **files: object) -> None:
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(f"{content}\n")


def test_memory_left_by_cgroups_v2(tmp_path):
    group(tmp_path / "a", memory__max="max", memory__current=5, memory__stat="anon 1")
    group(
        tmp_path / "a" / "b",
        memory__max=100 * MIB,
        memory__current=60 * MIB,
        memory__stat=f"anon 1\ninactive_file {20 * MIB}",
    )
    group(
        tmp_path / "a" / "b" / "c",
        memory__max=200 * MIB,
        memory__current=1,
        memory__stat="anon 1",
    )
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b/c\n")
    assert available_memory(tmp_path, membership) == 60 * MIB


def test_memory_left_by_cgroups_v1(tmp_path):
    group(
        tmp_path / "memory" / "job",
        memory__limit_in_bytes=10 * MIB,
        memory__usage_in_bytes=12 * MIB,
        memory__stat="inactive_file 0",
    )
    membership = tmp_path / "cgroup"
    membership.write_text("4:cpu:/job\n9:memory:/job\n0::/\n")
    assert available_memory(tmp_path, membership) == 0


def test_memory_without_groups_is_the_machines(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("0::/gone\n")
    assert available_memory(tmp_path, membership) > preflight.MEMORY / 100
