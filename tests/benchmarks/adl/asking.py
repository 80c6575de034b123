"""Engines as processes: started once, asked in turn, so that each is warm and alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adl.environment import cache, dask_awkward_python

ENGINES = Path(__file__).parent / "engines"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said, and what that took."""

    value: Any
    """Counts by histogram: ``{"6a": [...], "6b": [...]}``."""
    cpu: float
    """Seconds, children included."""
    wall: float
    peak_kib: int
    """Largest memory that the process has had so far."""


@dataclass(frozen=True, slots=True)
class Program:
    """An engine's script, and what it is asked beside query and path."""

    name: str
    script: str
    more: tuple[tuple[str, Any], ...] = ()
    python: Callable[[], Path] = lambda: Path(sys.executable)
    is_array: bool = False
    """Whether combinations are arrays in memory, and so slow."""


KERNEL = Program("kernel", "ours.py", (("style", "kernel"),))
ARRAY = Program("array", "ours.py", (("style", "array"),), is_array=True)
BY_HAND = Program("awkward by hand", "by_hand.py", is_array=True)
COFFEA = Program("coffea", "nano_events.py", is_array=True)
RDATAFRAME = Program("RDataFrame", "rdataframe.py")
DASK_AWKWARD = Program(
    "dask-awkward", "on_dask_awkward.py", python=dask_awkward_python, is_array=True
)
PEERS = (BY_HAND, COFFEA, RDATAFRAME, DASK_AWKWARD)
EXPERT = Program(
    "expert, flat numpy", "by_hand.py", (("style", "flat"),), is_array=True
)
"""Shown beside the peers: nobody writes an analysis like that."""
DECOMPRESSION = Program("decompression", "decompression.py")


class Engine:
    """A running program."""

    def __init__(self, program: Program, core: int | None) -> None:
        self.program = program
        self._process = subprocess.Popen(
            [program.python(), "-W", "ignore", ENGINES / program.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"ADL_CACHE": str(cache())},
            text=True,
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def send(self, query: int, path: Any, **more: Any) -> None:
        """Ask; the answer is waited for by `receive`."""
        assert self._process.stdin is not None
        question = {"query": query, "path": path, **dict(self.program.more), **more}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            raise RuntimeError(f"{self.program.name} failed:\n{errors}")
        return Answer(**json.loads(line))

    def ask(self, query: int, path: Any, **more: Any) -> Answer:
        self.send(query, path, **more)
        return self.receive()

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def engines(
    programs: Sequence[Program], core: int | None = None
) -> Iterator[list[Engine]]:
    """Start programs, on one core if it is given; they end with the block."""
    with ExitStack() as stack:
        started = []
        for program in programs:
            engine = Engine(program, core)
            stack.callback(engine.close)
            started.append(engine)
        yield started
