"""Turns contents into objects, on all cores; what is known already is left alone."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import NamedTuple

from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.cvmfs.items import Item, pieces
from offload.cache.cvmfs.names import ObjectName, Suffix, name_of
from offload.cache.cvmfs.objects import CHUNK_BYTES, compress
from offload.cache.cvmfs.rows import FOLDER_BYTES, Chunk, Row
from offload.cache.cvmfs.storage import Storage
from offload.snapshot.tree import Kind

_BATCH_BYTES = 1 << 20
_BATCH_FILES = 64
"""Small files are handed to a thread by the dozen: one by one it would cost more than
their compression."""

_SAVE_BYTES = 256 << 20
"""After so many, what is known is kept for good: a kill loses no more work than that."""
_LEAST_BYTES = 8 << 10
"""That a file counts for: what is known of it takes memory until then."""

_LONGEST_QUEUE = 2
"""Jobs per thread that wait; each holds a few MB."""

Done = Callable[[Row], None]


class _Small(NamedTuple):
    """A file in one piece that waits for its turn."""

    item: Item
    data: bytes
    done: Done


class _Waiting(NamedTuple):
    """What threads work on, and what to do with what they made."""

    job: Future[list[bytes]]
    finish: Callable[[list[bytes]], None]


class Packer:
    """Makes objects of files, in a bounded amount of memory.

    Args:
        storage: where to.
        contents: what is known.
        level: zlib's, 0 to 9.
        workers: threads; zlib lets others run while it works.
        alone: keeps others from publishing and removing, while it is held.
    """

    def __init__(
        self,
        storage: Storage,
        contents: Contents,
        level: int,
        workers: int | None,
        alone: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._storage = storage
        self._alone = alone
        self._removals = storage.removals()
        self._contents = contents
        self._level = level
        self._workers = workers or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="publish")
        self._waiting: deque[_Waiting] = deque()
        self._batch: list[_Small] = []
        self._batch_bytes = 0
        self._unsaved = 0

    def close(self) -> None:
        """Stop, also in the middle."""
        self._pool.shutdown(cancel_futures=True)

    def add(self, item: Item, done: Done) -> None:
        """Make objects of a file's content.

        Args:
            item: the file.
            done: called with its row in this thread, at the latest in :meth:`finish`.

        Raises:
            RefusedItemError: the content is not what the item says.
            OSError: it cannot be read.
            NoSpaceError: the disk is full.
        """
        if item.sha256:
            suffix = Suffix.CHUNK if item.size > CHUNK_BYTES else Suffix.FILE
            known = self._known(bytes.fromhex(item.sha256), suffix, is_chunk=False)
            if known is not None:
                done(row_of(item, known))
                return
        self._unsaved += max(item.size, _LEAST_BYTES)
        parts = pieces(item.content)
        first = next(parts, b"")
        if item.size > CHUNK_BYTES:
            self._add_large(item, chain([first], parts), done)
            return
        if len(first) != item.size or next(parts, None) is not None:
            raise _wrong_size(item)
        self._batch.append(_Small(item, first, done))
        self._batch_bytes += len(first)
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_FILES:
            self._send_batch()

    def finish(self) -> None:
        """Wait until all that was added is done. Raises as :meth:`add` does."""
        self._send_batch()
        while self._waiting:
            self._collect()
        if self._unsaved >= _SAVE_BYTES:
            self.save()

    def save(self) -> None:
        """Bring the objects to the disk, and note for good what they hold.

        Raises:
            NoSpaceError: the disk is full.
        """
        self._storage.sync()
        with self._alone():
            if self.is_whole():
                self._contents.save()
            else:
                self._contents.drop()
        self._unsaved = 0

    def is_whole(self) -> bool:
        """Whether no object has been removed since; asked alone."""
        return self._storage.removals() == self._removals

    def _add_large(self, item: Item, parts: Iterator[bytes], done: Done) -> None:
        sha256 = hashlib.sha256()
        digests: list[bytes] = []
        size = 0
        for part in parts:
            sha256.update(part)
            size += len(part)
            job = self._pool.submit(self._pack_chunk, part)
            self._wait_for(job, digests.extend)
        if size != item.size:
            raise _wrong_size(item)
        if item.sha256 not in {"", sha256.hexdigest()}:
            raise _wrong_content(item)

        def finish(_: list[bytes]) -> None:
            self._contents.add(sha256.digest(), tuple(digests))
            done(row_of(item, tuple(digests)))

        # After the chunks: what waits is collected in order.
        nothing: Future[list[bytes]] = Future()
        nothing.set_result([])
        self._wait_for(nothing, finish)

    def _send_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return

        def finish(digests: list[bytes]) -> None:
            for small, digest in zip(batch, digests, strict=True):
                small.done(row_of(small.item, (digest,)))

        job = self._pool.submit(self._pack_batch, batch)
        self._wait_for(job, finish)

    def _wait_for(
        self, job: Future[list[bytes]], finish: Callable[[list[bytes]], None]
    ) -> None:
        self._waiting.append(_Waiting(job, finish))
        while len(self._waiting) > _LONGEST_QUEUE * self._workers:
            self._collect()

    def _collect(self) -> None:
        job, finish = self._waiting.popleft()
        finish(job.result())

    def _pack_batch(self, batch: Sequence[_Small]) -> list[bytes]:
        digests = []
        for item, data, _ in batch:
            sha256 = hashlib.sha256(data)
            if item.sha256 not in {"", sha256.hexdigest()}:
                raise _wrong_content(item)
            digests.append(self._pack(data, sha256.digest(), Suffix.FILE))
        return digests

    def _pack_chunk(self, data: bytes) -> list[bytes]:
        return [self._pack(data, hashlib.sha256(data).digest(), Suffix.CHUNK)]

    def _pack(self, data: bytes, sha256: bytes, suffix: Suffix) -> bytes:
        is_chunk = suffix is Suffix.CHUNK
        known = self._known(sha256, suffix, is_chunk=is_chunk)
        if known is not None:
            return known[0]
        compressed = compress(data, self._level)
        name = ObjectName.of(compressed, suffix)
        self._storage.put(name, compressed)
        self._contents.add(sha256, (name.digest,), is_chunk=is_chunk)
        return name.digest

    def _known(
        self, sha256: bytes, suffix: Suffix, *, is_chunk: bool
    ) -> tuple[bytes, ...] | None:
        digests = self._contents.get(sha256, is_chunk=is_chunk)
        if digests is not None and all(
            self._storage.has(ObjectName(digest, suffix)) for digest in digests
        ):
            return digests
        return None


def row_of(item: Item, digests: Sequence[bytes] = ()) -> Row:
    """Return the row of an item whose content these objects hold."""
    name = name_of(item.path)
    if item.kind is Kind.FOLDER:
        return Row(name, item.kind, item.permissions, FOLDER_BYTES, item.mtime)
    if item.kind is Kind.LINK:
        size = len(item.target)
        return Row(name, item.kind, 0o777, size, item.mtime, target=item.target)
    row = Row(name, item.kind, item.permissions, item.size, item.mtime)
    if item.size <= CHUNK_BYTES:
        return row._replace(digest=digests[0])
    sizes = [CHUNK_BYTES] * (len(digests) - 1)
    sizes.append(item.size - sum(sizes))
    chunks = (
        Chunk(number * CHUNK_BYTES, size, digest)
        for number, (size, digest) in enumerate(zip(sizes, digests, strict=True))
    )
    return row._replace(chunks=tuple(chunks))


def _wrong_size(item: Item) -> RefusedItemError:
    return RefusedItemError(
        f"{os.fsdecode(item.path)!r}: its content has not the {item.size:,} bytes that "
        "it should have; it may have changed meanwhile"
    )


def _wrong_content(item: Item) -> RefusedItemError:
    return RefusedItemError(
        f"{os.fsdecode(item.path)!r}: its content has not the SHA-256 {item.sha256[:16]}"
        "... that it should have"
    )
