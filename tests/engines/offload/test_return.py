"""kill -9 of the agent while a large output comes home: it goes on, it does not begin."""

import hashlib
import subprocess
import time

import pytest

pytestmark = pytest.mark.engines

SIZE = 250_000_000
STEP = SIZE // 10
KILLS = 2


def test_what_has_arrived_does_not_travel_again(home, python):
    for _ in range(5):
        id_ = home.submit(
            "--site", "cluster", "--outputs", "*.bin", "--", "sh", "-c",
            f"head -c {SIZE} /dev/urandom >big.bin; sha256sum <big.bin", python=python,
        )  # fmt: skip
        folder = home.jobs / id_
        is_in_time = _kill_meanwhile(home, folder)
        home.facility("wait", id_)
        if is_in_time:
            break
        # We were so slow that all of it had arrived.
        (home.work / "big.bin").unlink()
    else:
        pytest.fail("it always arrives before anybody is killed")
    digest = subprocess.run(
        ["sha256sum", home.work / "big.bin"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert home.facility("logs", id_).split()[0] == digest
    with (folder / "outputs/big.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert [*folder.glob(".outputs*")] == []


def _kill_meanwhile(home, folder):
    """Kill the agent while it fetches, again and again; return whether it was in time."""
    kept = None, 0
    for _ in range(KILLS):
        least = kept[1] + STEP
        inode, size = _when(
            lambda now, least=least: now[1] >= least or (folder / "outputs").exists(),
            folder,
        )
        home.kill_agent()
        before, kept = kept[0], _arrived(folder)
        home.start_agent()
        if kept[0] is None or kept[1] >= SIZE:
            return False
        assert before in {None, inode}  # the same file as before the last kill
        assert size <= kept[1]
        inode, size = _when(lambda now, kept=kept: now != kept, folder)
        if inode is None:
            return False
        # The first that is seen of the next agent's work is more of the same.
        assert inode == kept[0]
        assert size > kept[1]
    return True


def _when(condition, folder):
    """Wait for it; return what has arrived then."""
    deadline = time.monotonic() + 60
    while not condition(now := _arrived(folder)):
        assert time.monotonic() < deadline, now
        time.sleep(0.001)
    return now


def _arrived(folder):
    """Return the inode and the bytes of what has arrived; none once it is unpacked."""
    for path in folder.glob(".outputs.tar.zst*"):
        try:
            status = path.stat()
        except FileNotFoundError:  # renamed meanwhile
            continue
        return status.st_ino, status.st_size
    return None, 0
