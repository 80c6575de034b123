"""Damages a file of baskets over and over; says what came of it. A process of its own.

Arguments: a folder with ``made.root`` and ``made.pickle``, first seed, seeds.
"""

import json
import pickle
import random
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facility.columnar.baskets import reading
from facility.columnar.baskets.filling import Scratch
from facility.columnar.baskets.positions import Lists
from facility.columnar.baskets.reading import BasketReader
from facility.columnar.baskets.sources import LocalSource
from facility.columnar.errors import ChunkError

GUARD = 4096
MARK = 0xA5


class Guarded(Scratch):
    """Memory between marks, so that writing outside of it is seen."""

    def __init__(self):
        super().__init__()
        self.given = []

    def take(self, name, dtype, size):
        wanted = np.dtype(dtype).itemsize * size
        memory = np.full(wanted + 2 * GUARD, MARK, np.uint8)
        self.given.append(memory)
        return memory[GUARD : GUARD + wanted].view(dtype)

    def check(self):
        for memory in self.given:
            assert (memory[:GUARD] == MARK).all(), "written before memory"
            assert (memory[-GUARD:] == MARK).all(), "written behind memory"
        self.given.clear()


class Lent:
    """A pool of one."""

    def __init__(self, buffers):
        self.buffers = buffers

    @contextmanager
    def lent(self):
        yield self.buffers


def damaged(data, baskets, rng):
    """Flip bytes of one branch's baskets, mostly where they are most read."""
    if isinstance(baskets, Lists):
        baskets = rng.choice((baskets.content, baskets.ends))
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        i = rng.randrange(len(baskets.seeks))
        reach = int(baskets.sizes[i])
        reach = rng.choice((reach, min(reach, 100), min(reach, 75)))
        data[int(baskets.seeks[i]) + rng.randrange(reach)] ^= rng.randrange(1, 256)
    if rng.random() < 0.1:
        del data[rng.randrange(int(baskets.seeks[0]), len(data)) :]
    return data


def main() -> None:
    folder, first, seeds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    data = (folder / "made.root").read_bytes()
    branches, truth = pickle.loads((folder / "made.pickle").read_bytes())
    outcomes = {}
    for seed in range(first, first + seeds):
        rng = random.Random(seed)
        for name in truth:
            path = folder / "damaged.root"
            path.write_bytes(damaged(data, branches[name], rng))
            reader = BasketReader(LocalSource(path))
            scratch, memory = Guarded(), Guarded()
            reading._SCRATCH = Lent(scratch)
            alone = [name] if name.startswith("lists") and seed % 2 else []
            try:
                found = reader.columns(branches, [name], 0, 400, memory, alone)[name]
                outcome = "right" if found.content.tolist() == truth[name] else "wrong"
            except ChunkError as error:
                is_named = f"branch '{name}" in str(error)
                outcome = "error" if is_named else "error without a name"
            memory.check()
            scratch.check()
            key = f"{name} {outcome}"
            outcomes[key] = outcomes.get(key, 0) + 1
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
