"""Revisions have names, and one can turn back to them."""

import pytest

from offload.cache.cvmfs.errors import (
    RepositoryError,
)


def publish(repository, trees, tag=None):
    with repository.transaction() as transaction:
        for path, tree in trees.items():
            transaction.put_tree(path, tree)
        return transaction.commit(tag)


def test_what_is_kept_stays_when_one_turns_back(repository, make, contents):
    old = [make.file(b"a", b"old")]
    publish(repository, {b"/t": old}, tag="stable")
    tree = [make.file(b"a/b/%d" % n, b"%d" % n) for n in range(50)]
    publish(repository, {b"/t": [make.file(b"a", b"new")], b"/u/v": tree, b"/w": old})
    now = contents(repository)
    repository.rollback("stable", keep=[b"/u/v", b"/t", b"/not/there"])
    found = contents(repository)
    kept = {path for path in now if path.startswith(b"/u")}
    assert len(kept) > 50
    assert {path: now[path] for path in kept} == {p: found[p] for p in kept}
    assert found.keys() - kept == {p for p in now if p.startswith(b"/t")}
    assert found[b"/t/a"] != now[b"/t/a"]


def test_what_is_kept_and_damaged_does_not_keep_one_from_turning_back(repository, make):
    publish(repository, {b"/t": [make.file(b"a", b"old")]}, tag="stable")
    publish(repository, {b"/u": [make.file(b"a", b"new")]})
    catalogue = repository.public / repository.head().catalogue.path
    catalogue.write_bytes(b"damaged")
    repository.rollback("stable", keep=[b"/u"])
    with repository.transaction() as transaction:
        assert transaction.lookup(b"/t/a") is not None


def test_revisions_can_be_named_and_turned_back_to(repository, make, clock, contents):
    publish(repository, {b"/t": [make.file(b"a", b"old")]}, tag="stable")
    old = contents(repository)
    clock.forward(hours=1)
    publish(repository, {b"/t": [make.file(b"a", b"new")]})
    manifest = repository.rollback("stable")
    assert (manifest.revision, manifest.published) == (4, clock())
    assert contents(repository) == old
    assert [(tag.name, tag.revision) for tag in repository.tags()] == [
        ("revision-1", 1),
        ("revision-2", 2),
        ("stable", 2),
        ("revision-3", 3),
        ("revision-4", 4),
    ]
    assert repository.rollback("revision-4") == manifest
    with pytest.raises(RepositoryError, match="no tag 'stale'"):
        repository.rollback("stale")
    with repository.transaction() as transaction:
        assert transaction.commit("stable").revision == 5
    assert ("stable", 5) in [(tag.name, tag.revision) for tag in repository.tags()]


@pytest.mark.parametrize("tag", ["", "a b", "../x", "x" * 300, "revision-9", "é"])
def test_names_that_are_no_tags_are_refused(repository, tag):
    with (
        repository.transaction() as transaction,
        pytest.raises(RepositoryError, match="expected letters"),
    ):
        transaction.commit(tag)


def test_time_never_goes_back(repository, make, clock):
    published = repository.head().published
    clock.forward(days=-1)
    assert publish(repository, {b"/t": [make.file(b"a")]}).published == published
