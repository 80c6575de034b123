"""What the disk has damaged is told, served no more, and made anew by publishing it."""

import itertools
import os
from datetime import timedelta
from pathlib import Path

import pytest

from offload.cache.cvmfs.errors import RepositoryBusyError
from offload.cache.cvmfs.verification import STEPS


def publish(repository, path, *found):
    with repository.transaction() as transaction:
        transaction.put_tree(path, found)
        return transaction.commit()


def place(repository, path) -> tuple[str, Path]:
    """The first object of a file, and where it lies."""
    name = next(repository.namespace().lookup(path).objects())
    return str(name), repository.public / name.path


def damage(repository):
    return {
        str(each.name): (each.reason, each.paths)
        for step in repository.verify()
        for each in step.damaged
    }


def flip(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("spoil", "size"), [(flip, 9), (cut, 5 << 20), (Path.unlink, 9)]
)
def test_damage_is_told_and_publishing_again_heals(
    repository, make, contents, spoil, size
):
    tree = [make.file(b"a", os.urandom(size)), make.file(b"b", b"b")]
    head = publish(repository, b"/t", *tree)
    before = contents(repository)
    assert damage(repository) == {}
    name, path = place(repository, b"/t/a")
    spoil(path)
    ((found, (reason, paths)),) = damage(repository).items()
    assert (found, paths) == (name, (b"/t/a",))
    assert reason.startswith("it is not there" if spoil is Path.unlink else "its bytes")
    assert not path.exists()
    assert {str(each) for each in repository.lost()} == {name}
    # Until then it is told each time.
    assert damage(repository) == {name: ("it is not there", (b"/t/a",))}
    assert publish(repository, b"/t", *tree) == head
    assert repository.lost() == frozenset()
    assert damage(repository) == {}
    assert contents(repository) == before
    assert list((repository.public.parent / "private/damaged").iterdir()) == []


def test_catalogues_and_older_revisions_are_looked_at_too(repository, make):
    publish(repository, b"/t", make.file(b"a", b"old"))
    old, old_path = place(repository, b"/t/a")
    publish(repository, b"/t", make.file(b"a", b"new"))
    _, new_path = place(repository, b"/t/a")
    catalogue = repository.namespace().catalogue_of(b"").nested()[0].object
    flip(old_path)
    assert damage(repository)[old][1] == ()
    flip(new_path)
    flip(repository.public / catalogue.path)
    found = damage(repository)
    assert found[str(catalogue)][0].startswith("its bytes")
    assert str(catalogue) in {str(name) for name in repository.lost()}


def test_what_nothing_names_is_removed_without_a_word(repository, make, clock):
    publish(repository, b"/t", make.file(b"a", b"old"))
    _, path = place(repository, b"/t/a")
    publish(repository, b"/t")
    repository.collect(1, timedelta(days=1))
    flip(path)
    assert damage(repository) == {}
    assert not path.exists()
    assert repository.lost() == frozenset()


def test_the_next_one_goes_on(repository, make):
    publish(repository, b"/t", *(make.file(b"%d" % n, b"%d" % n) for n in range(40)))
    everything = sum(1 for _ in repository._storage.names())
    first = list(itertools.islice(repository.verify(), 101))
    # The one that was interrupted counts for nothing: it is done again.
    second = list(repository.verify())
    assert [step.step for step in first] == list(range(1, 102))
    assert [step.step for step in second] == list(range(101, STEPS + 1))
    assert sum(s.objects for s in (*first[:-1], *second)) == everything
    assert sum(step.size for step in second) > 0
    assert [step.step for step in repository.verify()] == list(range(1, STEPS + 1))


def test_nobody_waits_for_it_unless_something_is_damaged(repository, make):
    publish(repository, b"/t", make.file(b"a", b"a"))
    with repository.transaction():
        assert damage(repository) == {}
        flip(place(repository, b"/t/a")[1])
        with pytest.raises(RepositoryBusyError):
            damage(repository)
    assert len(damage(repository)) == 1
