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
    id_ = home.submit(
        "--site", "cluster", "--outputs", "*.bin", "--", "sh", "-c",
        f"head -c {SIZE} /dev/urandom >big.bin; sha256sum <big.bin", python=python,
    )  # fmt: skip
    folder = home.jobs / id_

    def arrived():
        """Return the inode and the bytes of what has arrived."""
        for path in folder.glob(".outputs.tar.zst*"):
            try:
                status = path.stat()
            except FileNotFoundError:  # renamed meanwhile
                continue
            return status.st_ino, status.st_size
        return None, 0

    kept = None, 0
    for _ in range(KILLS):
        inode, size = _more_than(arrived, kept[1] + STEP)
        home.kill_agent()
        assert kept[0] in {None, inode}  # the same file as before the last kill
        kept = arrived()
        assert size <= kept[1] < SIZE
        home.start_agent()
        deadline = time.monotonic() + 30
        while (now := arrived()) == kept:
            assert time.monotonic() < deadline, home.logs()
        # The first that is seen of the next agent's work is more of the same.
        assert now[0] == kept[0]
        assert now[1] > kept[1]
    home.facility("wait", id_)
    digest = subprocess.run(
        ["sha256sum", home.work / "big.bin"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert home.facility("logs", id_).split()[0] == digest
    with (folder / "outputs/big.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert [*folder.glob(".outputs*")] == []


def _more_than(arrived, size):
    deadline = time.monotonic() + 60
    while (now := arrived())[1] < size:
        assert time.monotonic() < deadline, now
    return now
