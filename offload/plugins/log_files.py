"""A part of a container's log: the end, what is new, with times; in constant memory.

Times come from the index beside the log, which the wrapper's shim writes: lines
``OFFSET SECONDS``, what lies before OFFSET was written by that time. A line has the time
by which its first byte was written.

Source of the options: Kubernetes API reference, "PodLogOptions".
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from offload.interlink.messages import LogOptions
from offload.plugins.node.folder import open_regular

BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class LogIndex:
    """By when which bytes of a log were written."""

    offsets: tuple[int, ...] = ()
    times: tuple[float, ...] = ()

    @classmethod
    def read(cls, path: Path) -> LogIndex:
        """Read an index; a line that is being written does not count."""
        try:
            with open_regular(path) as file:
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return cls()
        offsets, times = [], []
        for line in lines:
            match line.split():
                case [offset, seconds] if offset.isdecimal():
                    try:
                        times.append(float(seconds))
                    except ValueError:
                        continue
                    offsets.append(int(offset))
                case _:
                    continue
        return cls(tuple(offsets), tuple(times))

    def time_of(self, offset: int, default: float) -> float:
        """Return by when the byte at an offset was written."""
        place = bisect.bisect_right(self.offsets, offset)
        return self.times[place] if place < len(self.times) else default

    def offset_since(self, moment: float) -> int | None:
        """Return an offset before which everything is older than a moment.

        ``None`` if everything that the index knows is older.
        """
        place = bisect.bisect_left(self.times, moment)
        if place == len(self.times):
            return self.offsets[-1] if self.offsets else None
        return self.offsets[place - 1] if place else 0


class LogFile:
    """A container's log.

    Args:
        path: The log; it need not exist yet.
        index: Its index.
    """

    def __init__(self, path: Path, index: Path) -> None:
        self.path = path
        self._index_path = index

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def start(self, options: LogOptions, now: float) -> int:
        """Return the offset where what is asked for begins."""
        size = self.size()
        start = 0
        since = _since(options, now)
        if since is not None:
            found = LogIndex.read(self._index_path).offset_since(since)
            # Without a word in the index: what is there was written by its last change.
            start = (
                (size if self._changed_at() < since else 0) if found is None else found
            )
            start = self._line_start(start)
        if options.tail > 0:
            start = max(start, self._tail(options.tail, size))
        return start

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes between two offsets, as far as they are there."""
        try:
            with open_regular(self.path) as file:
                file.seek(start)
                while start < end and (block := file.read(min(BLOCK, end - start))):
                    start += len(block)
                    yield block
        except OSError:  # none yet, or what a job has put in its place
            return

    def with_times(
        self, blocks: Iterator[bytes], start: int, now: float
    ) -> Iterator[bytes]:
        """Put its time before each line; ``start`` is where the blocks begin."""
        index = LogIndex.read(self._index_path)
        at_line_start = start == 0 or self._is_line_start(start)
        for block in blocks:
            out = bytearray()
            for line in block.splitlines(keepends=True):
                # splitlines knows ends that are none here: a carriage return above all.
                if at_line_start:
                    out += _stamp(index.time_of(start, now))
                out += line
                start += len(line)
                at_line_start = line.endswith(b"\n")
            yield bytes(out)

    def _changed_at(self) -> float:
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _is_line_start(self, offset: int) -> bool:
        return offset == 0 or b"".join(self.read(offset - 1, offset)) == b"\n"

    def _line_start(self, offset: int) -> int:
        """Return the start of the first line that begins at or after an offset."""
        if self._is_line_start(offset):
            return offset
        for block in self.read(offset, self.size()):
            place = block.find(b"\n")
            if place >= 0:
                return offset + place + 1
            offset += len(block)
        return offset

    def _tail(self, lines: int, size: int) -> int:
        """Return where the last lines begin; an unfinished one counts."""
        try:
            with open_regular(self.path) as file:
                return _tail_offset(file, lines, size)
        except OSError:
            return 0


def _tail_offset(file: BinaryIO, lines: int, size: int) -> int:
    position, left = size, lines
    is_last = True
    while position > 0:
        start = max(0, position - BLOCK)
        file.seek(start)
        block = file.read(position - start)
        end = len(block)
        if is_last and block.endswith(b"\n"):
            end -= 1
        is_last = False
        while (place := block.rfind(b"\n", 0, end)) >= 0:
            left -= 1
            if left == 0:
                return start + place + 1
            end = place
        position = start
    return 0


def _since(options: LogOptions, now: float) -> float | None:
    if options.since_seconds > 0:
        return now - options.since_seconds
    if options.since_time is not None:
        return options.since_time.timestamp()
    return None


def _stamp(seconds: float) -> bytes:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ ").encode()


def log_file(logs: Path, container: str, *, is_previous: bool = False) -> LogFile:
    """Return a container's log; ``logs`` is the pod's folder of logs."""
    name = f"{container}.previous" if is_previous else container
    path = logs / f"{name}.log"
    return LogFile(path, path.with_suffix(".index"))


def limited(blocks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield no more than so many bytes; 0 is no limit."""
    left = most
    for block in blocks:
        if most <= 0:
            yield block
            continue
        yield block[:left]
        left -= len(block)
        if left <= 0:
            return


def is_there(file: LogFile) -> bool:
    """Whether the container has a log."""
    return os.path.lexists(file.path)
