"""Images mounted lazily by a real kernel: what is read is fetched, and noted."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from offload.cache.cvmfs.items import Item
from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.shelf import Shelf
from offload.cache.reading import MountError
from offload.cache.reading.mounting import Mount, can_mount, unmount
from offload.snapshot.tree import Kind

pytestmark = pytest.mark.engines


@pytest.fixture
def where(tmp_path):
    assert can_mount(), "FUSE is missing: run .ci/system-packages"
    where = tmp_path / "mounted"
    where.mkdir()
    yield where
    unmount(where)


def test_a_mount_shows_what_was_published(make_cache, image, items, where):
    with Mount(make_cache("site"), image, where):
        for item in items:
            path = where / os.fsdecode(item.path)
            status = path.lstat()
            match item.kind:
                case Kind.FILE:
                    assert stat.S_IMODE(status.st_mode) == item.mode
                    assert status.st_size == item.size
                    assert path.read_bytes() == item.content
                case Kind.LINK:
                    assert path.readlink() == path.parent.joinpath(
                        "lib0.so"
                    ).relative_to(path.parent)
                case Kind.FOLDER:
                    assert stat.S_ISDIR(status.st_mode)
                    assert int(status.st_mtime) == item.mtime
        assert len(os.listdir(where / "env")) == 20 + 2 + 1
        with pytest.raises(OSError, match="Read-only file system"):
            (where / "new").touch()
        with pytest.raises(FileNotFoundError):
            (where / "env/nothing").stat()
    assert not os.path.ismount(where)


def test_only_what_is_read_comes_and_is_noted(
    make_cache, origin, image, where, expected
):
    cache = make_cache("site")
    name = "env/p03/m003.py"
    with Mount(cache, image, where):
        assert (where / name).read_bytes() == expected[name]
        with (where / "env/lib1.so").open("rb") as file:
            file.seek(9_000_000)
            got = file.read(1000)
    assert got == expected["env/lib1.so"][9_000_000:9_001_000]
    files = [p for p in origin.objects() if p[-1] not in "CX"]
    trace = cache.trace(image)
    assert {f"/{use.name.path}" for use in trace.uses} == set(files)
    # The kernel may read ahead, into the chunk beside.
    assert 2 <= len(files) <= 3
    assert trace.uses[0].mode == 0o644


def bundled(first, repository, image, where, names):
    """Publish the bundle of a job that reads these files."""
    with Mount(first, image, where):
        for name in names:
            (where / name).read_bytes()
    trace = first.trace(image)
    assert len(trace) == len(names)
    assert publish_bundle(Shelf(repository, "amd64"), image, trace) == len(names)


def test_a_bundle_of_a_trace_makes_the_next_cold_start_few_files(
    make_cache, origin, image, where, published, expected
):
    names = [f"env/p{n % 20:02}/m{n:03}.py" for n in range(0, 400, 3)]
    bundled(make_cache("first"), published[0], image, where, names)
    origin.requests.clear()
    with Mount(make_cache("second"), image, where):
        for name in names:
            assert (where / name).read_bytes() == expected[name]
    assert 2 <= len([p for p in origin.objects() if p[-1] not in "CXP"]) <= 4


def test_a_bundle_damaged_on_disk_is_fetched_again(
    make_cache, image, where, published, expected
):
    names = [f"env/p{n % 20:02}/m{n:03}.py" for n in range(100, 160)]
    bundled(make_cache("first"), published[0], image, where, names)
    files = {}
    make_cache("second").bundle(image, files.__setitem__)
    good = {path: path.read_bytes() for path in files.values()}
    for place in (3, -1):
        for path, data in good.items():
            damaged = bytearray(data)
            damaged[place] ^= 4
            status = path.stat()
            path.chmod(0o600)
            path.write_bytes(damaged)
            path.chmod(0o644)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with Mount(make_cache("second"), image, where):
            for name in names:
                assert (where / name).read_bytes() == expected[name]
        assert {path: path.read_bytes() for path in good} == good


def test_a_large_folder_is_listed_whole_and_then_known(
    make_cache, published, origin, where
):
    names = {b"n%05d" % number + b"x" * 200 for number in range(3000)}
    digest = "sha256:" + "5e" * 32
    with published[0].transaction() as transaction:
        items = [Item(name, Kind.FILE, 0o644) for name in names]
        transaction.put_tree(b"/.flat/5e/" + digest[7:].encode(), items)
        transaction.commit()
    with Mount(make_cache("site"), digest, where):
        assert set(os.listdir(os.fsencode(where))) == names
        handle = os.open(where, os.O_RDONLY)
        for _ in range(2):
            assert {os.fsencode(n) for n in os.listdir(handle)} == names
        os.close(handle)


def test_a_mount_ends_with_the_process_that_made_it(make_cache, image, where, tmp_path):
    cache = make_cache("site")
    code = (
        "import json, pathlib, sys, time\n"
        "from offload.cache.reading import RepositoryCache, RepositorySettings\n"
        "from offload.cache.reading.mounting import Mount\n"
        "settings = RepositorySettings.model_validate(json.loads(sys.argv[1]))\n"
        "cache = RepositoryCache(pathlib.Path(sys.argv[2]), settings)\n"
        "mount = Mount(cache, sys.argv[3], pathlib.Path(sys.argv[4]))\n"
        "print('mounted', flush=True)\n"
        "time.sleep(100)\n"
    )
    document = json.dumps(cache.settings.model_dump(mode="json"))
    starter = subprocess.Popen(
        [sys.executable, "-c", code, document, cache.folder.parent, image, where],
        stdout=subprocess.PIPE,
    )
    assert starter.stdout.readline() == b"mounted\n"
    assert (where / "env").is_dir()
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + 100
    while os.path.ismount(where) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.ismount(where)


def test_a_mount_of_a_killed_process_is_replaced(make_cache, image, where, expected):
    cache = make_cache("site")
    mount = Mount(cache, image, where)
    os.kill(mount._process.pid, signal.SIGKILL)
    mount._process.wait()
    with Mount(cache, image, where):
        name = "env/p00/m000.py"
        assert (where / name).read_bytes() == expected[name]
    mount._process.communicate()


def test_a_file_that_cannot_be_had_is_an_error_of_that_file(
    make_cache, origin, image, where
):
    cache = make_cache("site", proxies=("DIRECT",))
    mount = Mount(cache, image, where)
    assert (where / "env/p00/m000.py").read_bytes()
    origin.spoil = lambda path, body: body[:-1]
    with pytest.raises(OSError, match="Input/output error"):
        (where / "env/p01/m001.py").read_bytes()
    origin.spoil = lambda path, body: body
    assert (where / "env/p01/m001.py").read_bytes()
    (line,) = mount.close().splitlines()
    assert "its bytes have the digest" in line


def test_who_closes_a_mount_is_told_that_it_was_killed(make_cache, image, where):
    with Mount(make_cache("site"), image, where) as mount:
        pass
    assert mount.close() == ""
    mount = Mount(make_cache("site"), image, where)
    os.kill(mount._process.pid, signal.SIGKILL)
    assert mount.close() == "what mounts it was killed (signal 9)"


def test_a_mount_is_taken_away_where_a_link_leads_to_it(
    make_cache, image, where, tmp_path, expected
):
    (tmp_path / "link").symlink_to(tmp_path)
    name = "env/p00/m000.py"
    with Mount(make_cache("site"), image, tmp_path / "link" / where.name) as mount:
        assert (where / name).read_bytes() == expected[name]
    assert not os.path.ismount(where)
    mount = Mount(make_cache("site"), image, where)
    os.kill(mount._process.pid, signal.SIGKILL)
    mount.close()
    unmount(tmp_path / "link" / where.name)  # dead by now
    assert not os.listdir(where)


READS = """\
import sys
print("reads", flush=True)
with open(sys.argv[1], "rb") as file:
    print(len(file.read()))
"""
READS_DIRECTLY = """\
import mmap, os, sys
handle = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
print("reads", flush=True)
print(os.readv(handle, [mmap.mmap(-1, 4096)]))
"""
"""What it waits for nothing ends in the kernel."""


@pytest.fixture
def reading(origin, where):
    """Have somebody read of a mount while nobody answers; returns once he waits."""
    readers = []

    def start(program):
        def gone(path, body):
            raise ConnectionResetError

        origin.spoil = gone
        origin.requests.clear()
        command = [sys.executable, "-c", program, where / "env/p01/m001.py"]
        readers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert readers[-1].stdout.readline() == b"reads\n"
        while max(origin.requests.values(), default=0) < 3:
            time.sleep(0.05)
        return readers[-1]

    yield start
    for reader in readers:
        reader.kill()
        reader.communicate()


@pytest.mark.parametrize("program", [READS, READS_DIRECTLY])
def test_who_is_killed_waits_for_no_answer_and_nor_does_who_unmounts(
    make_cache, image, where, reading, program
):
    mount = Mount(make_cache("site", proxies=("DIRECT",)), image, where)
    reader = reading(program)
    reader.kill()
    reader.wait(20)  # an answer would take 60
    assert mount.close() == ""
    assert mount._process.returncode == 0
    assert not os.path.ismount(where)


def test_who_unmounts_leaves_who_waits_for_an_answer_to_himself(
    make_cache, origin, image, where, reading, expected
):
    mount = Mount(make_cache("site", proxies=("DIRECT",)), image, where)
    reader = reading(READS)
    assert mount.close() == ""
    assert not os.path.ismount(where)
    assert reader.poll() is None
    origin.spoil = lambda path, body: body
    told, _ = reader.communicate(timeout=60)
    assert int(told) == len(expected["env/p01/m001.py"])
    mount._process.communicate(timeout=60)
    assert mount._process.returncode == 0


def test_what_cannot_be_mounted_is_one_line(make_cache, image, where):
    with pytest.raises(MountError, match=r"no image of environments\.example\.org"):
        Mount(make_cache("site"), f"sha256:{64 * '0'}", where)
    with pytest.raises(MountError, match=r"cannot be mounted|fusermount"):
        Mount(make_cache("site"), image, where / "nothing")


def test_a_job_in_a_container_runs_from_a_mount(make_cache, image, items, where):
    with Mount(make_cache("site"), image, where):
        done = subprocess.run(
            [
                "bwrap",
                "--ro-bind",
                "/",
                "/",
                "--tmpfs",
                "/opt",
                "--ro-bind",
                where / "env",
                "/opt/env",
                "sh",
                "-c",
                "cat /opt/env/p*/*.py | wc -c",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    size = sum(i.size for i in items if i.path.endswith(b".py"))
    assert int(done.stdout) == size


def test_a_command_shows_what_is_sooner_until_it_is_stopped(
    make_cache, image, tmp_path, expected
):
    """Nothing but a file was read before: lazily, then whole when it is all here."""
    assert can_mount(), "FUSE is missing: run .ci/system-packages"
    cache = make_cache("site")
    place = cache.settings.model_dump(mode="json")
    config = tmp_path / "cache.yaml"
    config.write_text(json.dumps({k: v for k, v in place.items() if v is not None}))
    where = tmp_path / "shown"
    command = [sys.executable, "-m", "offload.cache.reading.main"]
    command += ["--config", str(config), "--folder", str(cache.folder.parent)]
    name = "env/p03/m003.py"
    where.mkdir()
    with Mount(cache, image, where):
        (where / name).read_bytes()
    with subprocess.Popen(  # in a folder that is named as one sees it from here
        [*command, "mount", image, where.name],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    ) as mounted:
        assert mounted.stdout.readline() == "shown: ready\n"
        assert (where / name).read_bytes() == expected[name]
        mounted.terminate()
        assert mounted.wait(30) == 0
    assert not os.path.ismount(where)
    ways = []
    for _ in range(2):
        with subprocess.Popen(
            [*command, "show", image, where], stdout=subprocess.PIPE, text=True
        ) as shown:
            ways.append(shown.stdout.readline().split()[2])
            assert (where / name).read_bytes() == expected[name]
            shown.terminate()
            assert shown.wait(30) == 0
        assert not where.is_symlink()
        assert not os.path.ismount(where)
        cache.image(image)
    assert ways == ["lazy", "whole"]
