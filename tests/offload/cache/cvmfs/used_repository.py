"""A repository that is used, crashes and is cleaned, beside a model of what it holds."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from offload.cache.cvmfs import storage
from offload.cache.cvmfs.collection import mark
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.repository import Repository
from offload.cache.cvmfs.storage import Storage
from offload.snapshot.tree import Kind

GRACE = timedelta(hours=24)
_EFFECTS = [
    (Storage, "write"),
    (Storage, "remove"),
    (Contents, "forget"),
    (Contents, "set_unused"),
    (Storage, "announce_removal"),
    (Contents, "save"),
    (Storage, "sync"),
]


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def crashing(after: int):
    """End the process before an effect, when so many have been done."""
    left = [after]
    real = {(kind, name): getattr(kind, name) for kind, name in _EFFECTS}

    def instead(effect):
        def call(*arguments, **more):
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            return effect(*arguments, **more)

        return call

    for (kind, name), effect in real.items():
        setattr(kind, name, instead(effect))
    try:
        yield
    except Crash:
        pass
    finally:
        for (kind, name), effect in real.items():
            setattr(kind, name, effect)


class Disk:
    """Knows what is written and not on the disk yet, until it is closed."""

    def __init__(self) -> None:
        self._waiting: dict[str, bytes | None] = {}
        """By path: what the disk holds there."""
        self._real = Storage.write, storage.synchronise

        def write(where, place, data, *, is_flushed=False):
            before = Path(place).read_bytes() if Path(place).exists() else None
            self._real[0](where, place, data, is_flushed=is_flushed)
            if not is_flushed:
                self._waiting.setdefault(place, before)

        def synchronise(folder):
            self._real[1](folder)
            self._waiting.clear()

        Storage.write, storage.synchronise = write, synchronise

    def close(self) -> None:
        Storage.write, storage.synchronise = self._real

    def lose(self, chance: random.Random) -> None:
        """The machine goes down: what waited is gone, empty, cut or there."""
        for place, before in self._waiting.items():
            path = Path(place)
            if not path.exists():
                continue
            data = path.read_bytes()
            left = chance.choice([before, b"", data[: len(data) // 2], data])
            path.unlink() if left is None else path.write_bytes(left)
        self._waiting.clear()


class UsedRepository:
    """Steps that one can take with it; after each, what it must hold is checked."""

    def __init__(self, repository: Repository, clock, seed: int) -> None:
        self.repository = repository
        self.clock = clock
        self.random = random.Random(seed)
        self.held: dict[int, dict[bytes, bytes]] = {1: {}}
        """By revision: path to content, of all files."""
        self._checked: dict = {}
        self._disk = Disk()

    def close(self) -> None:
        self._disk.close()

    def step(self) -> None:
        """Take any step; every fourth one crashes somewhere, or the machine does."""
        chosen = self.random.choice([*self._steps(), self.prepare, self.prepare])
        if self.random.random() < 0.25:
            with crashing(self.random.randrange(30)):
                chosen()
            if self.random.random() < 0.5:
                self._disk.lose(self.random)
                self._checked.clear()
        else:
            chosen()
        self.check()

    def _steps(self):
        steps = [self.publish] * 4 + [self.remove, self.rollback, self.untag]
        return [*steps, self.collect, self.wait]

    def publish(self) -> None:
        """Two trees and an image of both, perhaps under a name."""
        with self.repository.transaction() as transaction:
            self._put_image(transaction)
            self._commit(transaction, self.random.choice([None, None, "a", "b"]))

    def prepare(self) -> None:
        """The same, made ready while other things happen."""
        with self.repository.preparation() as preparation:
            self._put_image(preparation)
            for _ in range(self.random.randrange(3)):
                self.random.choice(self._steps())()
            prepared = preparation.finish()
            for _ in range(self.random.randrange(3)):
                self.random.choice(self._steps())()
        with self.repository.transaction() as transaction:
            try:
                transaction.put_prepared(prepared)
            except RepositoryError as error:
                assert "prepare it again" in str(error)  # noqa: PT017 -- it may not be
            else:
                self._commit(transaction, None)

    def _put_image(self, changes) -> None:
        layers = []
        for _ in range(2):
            path = b"/.layers/%d" % self.random.randrange(6)
            changes.put_tree(path, self._tree())
            layers.append(path)
        changes.merge(b"/.flat/%d" % self.random.randrange(4), layers)

    def remove(self) -> None:
        with self.repository.transaction() as transaction:
            kind = self.random.choice([b"/.layers/%d", b"/.flat/%d"])
            transaction.remove(kind % self.random.randrange(6))
            self._commit(transaction, None)

    def rollback(self) -> None:
        tag = self.random.choice(self.repository.tags())
        self.held[self.repository.head().revision + 1] = self.held[tag.revision]
        self.repository.rollback(tag.name)

    def untag(self) -> None:
        names = [t.name for t in self.repository.tags() if not t.is_automatic]
        if names:
            self.repository.untag(self.random.choice(names))

    def collect(self) -> None:
        self.repository.collect(self.random.randrange(1, 5), GRACE)

    def wait(self) -> None:
        self.clock.forward(hours=self.random.choice([1, 13, 40]))

    def check(self) -> None:
        """What the published and all kept revisions hold is there, whole."""
        tags = self.repository.tags()
        head = self.repository.head()
        assert head.revision in {tag.revision for tag in tags}
        there = dict.fromkeys(self.repository._storage.names())
        assert {head.certificate, head.history} <= there.keys()
        for tag in tags:
            used = mark(self.repository._storage, [tag.catalogue])
            assert used <= there.keys(), (tag, used - there.keys())
            if tag.catalogue not in self._checked:
                assert self._read(tag.catalogue) == self.held[tag.revision], tag
                self._checked[tag.catalogue] = None
        assert self._read(head.catalogue) == self.held[head.revision]

    def check_nothing_is_left(self) -> None:
        """After the grace period only what is kept is there."""
        self.repository.collect(1, GRACE)
        self.clock.forward(hours=24)
        self.repository.collect(1, GRACE)
        head = self.repository.head()
        roots = {tag.catalogue for tag in self.repository.tags()}
        used = mark(self.repository._storage, roots)
        there = set(self.repository._storage.names())
        assert there == used | {head.certificate, head.history}
        drafts = self.repository.public.parent / "private" / "drafts"
        assert list(drafts.iterdir()) == []
        self.check()

    def _tree(self) -> list[Item]:
        return [
            Item(b"%d" % name, Kind.FILE, 0o644, len(content), content=content)
            for name in self.random.sample(range(8), 3)
            for content in [b"content %d" % self.random.randrange(30)]
        ]

    def _commit(self, transaction, tag: str | None) -> None:
        found = {}
        for path, row in transaction.walk(b""):
            if row.kind is Kind.FILE:
                found[path] = self._content(row)
        # Noted first: a crash may come after it is published.
        self.held[self.repository.head().revision + 1] = found
        transaction.commit(tag)

    def _content(self, row) -> bytes:
        return b"".join(map(self.repository._storage.read, row.objects()))

    def _read(self, root) -> dict[bytes, bytes]:
        return {
            path: self._content(row)
            for path, row in self.repository.namespace(root).walk(b"")
            if row.kind is Kind.FILE
        }
