"""Changes files without rest until its standard input is closed.

Usage: restless_writer.py FOLDER FIRST COUNT PAUSE_S SEED

Every state that one of its calls leaves behind can be told by looking at it: a body,
made of its version, whole or its first half; a whole body may be followed by notes.
"""

import os
import random
import select
import sys
import time
from pathlib import Path

SIZES = (100, 70_000, 300_000, 300_000)
NOTE = b"note %08d\n"


def body(version: int, size: int) -> bytes:
    """Return the whole body of a version."""
    head = b"%012d %012d\n" % (version, size)
    return head + (b"%08d" % version) * ((size - len(head)) // 8)


def is_a_state(content: bytes) -> bool:
    """Whether a file did once have that content."""
    if not content:
        return True
    try:
        version, size = int(content[:12]), int(content[13:25])
    except ValueError:
        return False
    whole = body(version, size)
    if content == whole[: len(whole) // 2]:
        return True
    if not content.startswith(whole):
        return False
    notes = content[len(whole) :]
    return notes == b"".join(NOTE % n for n in range(len(notes) // len(NOTE % 0)))


class Writer:
    """One file that has no rest."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._path = path
        self._chance = chance
        self._size = chance.choice(SIZES)
        self._version = 0
        self._notes = 0

    def change(self) -> None:
        self._version += 1
        whole = body(self._version, self._size)
        what = self._chance.choices(range(6), (1, 1, 5, 1, 1, 1))[0]
        if what == 0 or not self._path.exists():
            draft = self._path.with_name(f".{self._path.name}.draft")
            draft.write_bytes(whole)
            draft.rename(self._path)
            self._notes = 0
        elif what == 1:
            self._write(os.O_TRUNC, whole)
        elif what == 2:
            self._write(0, whole)  # in place; of what it was only notes remain
            os.truncate(self._path, len(whole))
        elif what == 3:
            os.truncate(self._path, 0)
            self._write(0, whole)
            os.truncate(self._path, len(whole) // 2)
        elif what == 4:
            self._write(os.O_TRUNC, whole)
            for number in range(self._chance.randrange(5)):
                self._write(os.O_APPEND, NOTE % number)
        else:
            self._path.unlink()

    def _write(self, flags: int, content: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | flags)
        try:
            written = os.write(descriptor, content)
        finally:
            os.close(descriptor)
        if written != len(content):
            raise OSError("a write was cut short: that is no state that we know")


def main() -> None:
    folder, first, count, pause_s, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    writers = [
        Writer(Path(folder) / f"{number % 7}" / f"{number:04}", chance)
        for number in range(int(first), int(first) + int(count))
    ]
    for writer in writers:
        writer.change()
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        chance.choice(writers).change()
        time.sleep(float(pause_s))


if __name__ == "__main__":
    main()
