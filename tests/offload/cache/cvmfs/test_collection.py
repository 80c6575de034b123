"""What is named stays, what is not goes, whatever happens in between."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.cache.cvmfs.collection import Collected, choose_forgotten
from offload.cache.cvmfs.errors import RepositoryBusyError, RepositoryError
from offload.cache.cvmfs.repository import Repository, Settings
from tests.offload.cache.cvmfs import used_repository

FQRN = "environments.example.org"
DAY = timedelta(days=1)


def publish(repository, path, *found, tag=None):
    with repository.transaction() as transaction:
        transaction.put_tree(path, found)
        return transaction.commit(tag)


def there(repository) -> set[str]:
    return {str(name) for name in repository._storage.names()}


def test_old_revisions_go_after_the_grace_period(repository, make, clock, contents):
    publish(repository, b"/t", make.file(b"old", b"old"))
    publish(repository, b"/t", make.file(b"new", b"new"))
    kept = contents(repository)
    full = there(repository)
    assert repository.collect(5, DAY).forgotten == ()
    before = repository.collect(1, DAY, dry_run=True)
    assert before.forgotten == ("revision-1", "revision-2")
    assert len(repository.tags()) == 3
    done = repository.collect(1, DAY)
    assert done.forgotten == before.forgotten
    assert (done.removed, done.freed) == (0, 0)
    assert full < there(repository)  # there is another history
    clock.forward(hours=23)
    waiting = repository.collect(1, DAY).waiting
    assert waiting == done.waiting > 5
    clock.forward(hours=1)
    dry = repository.collect(1, DAY, dry_run=True)
    assert repository.collect(1, DAY) == dry
    assert dry.removed == waiting
    assert dry.freed > 500
    assert contents(repository) == kept
    assert repository.collect(1, DAY) == Collected((), 0, 0, 0)
    assert [tag.name for tag in repository.tags()] == ["revision-3"]


def test_a_clock_that_is_set_back_keeps_nothing_for_years(repository, make, clock):
    publish(repository, b"/t", make.file(b"old", b"old"))
    publish(repository, b"/t", make.file(b"new", b"new"))
    clock.forward(days=3650)
    assert repository.collect(1, DAY).waiting > 5
    clock.forward(days=-3650)
    assert repository.collect(1, DAY).removed == 0
    clock.forward(days=1)
    assert repository.collect(1, DAY).removed > 5


def test_named_revisions_stay_until_they_lose_their_name(
    repository, make, clock, contents
):
    publish(repository, b"/t", make.file(b"f", b"named"), tag="stable")
    old = contents(repository)
    publish(repository, b"/t", make.file(b"f", b"newer"))
    repository.collect(1, timedelta())
    assert [tag.name for tag in repository.tags()] == ["stable", "revision-3"]
    repository.rollback("stable")
    assert contents(repository) == old
    with pytest.raises(RepositoryError, match="no tag 'other'"):
        repository.untag("other")
    with pytest.raises(RepositoryError, match="no tag 'revision-4'"):
        repository.untag("revision-4")
    repository.untag("stable")
    assert [tag.name for tag in repository.tags()] == ["revision-3", "revision-4"]


def test_what_is_named_again_in_time_stays(repository, make, clock, contents):
    publish(repository, b"/t", make.file(b"f", b"content"))
    publish(repository, b"/t")
    repository.collect(1, DAY)
    clock.forward(hours=20)
    publish(repository, b"/t", make.named(b"f", b"content"))
    clock.forward(hours=20)
    repository.collect(9, DAY)
    assert contents(repository)[b"/t/f"][2] == b"content"
    publish(repository, b"/t")
    # Its grace period begins anew.
    assert repository.collect(1, DAY).removed < 5
    clock.forward(hours=23)
    publish(repository, b"/t", make.named(b"f", b"content"))
    assert contents(repository)[b"/t/f"][2] == b"content"


def test_what_is_gone_is_not_known_any_more(repository, make, clock, contents):
    publish(repository, b"/t", make.file(b"f", b"content"))
    publish(repository, b"/t")
    repository.collect(1, timedelta())
    publish(repository, b"/t", make.file(b"f", b"content"))
    assert contents(repository)[b"/t/f"][2] == b"content"


def test_nothing_is_removed_if_a_kept_revision_cannot_be_read(repository, make, clock):
    publish(repository, b"/t", make.file(b"f", b"content"), tag="kept")
    publish(repository, b"/t")
    catalogue = repository._storage.path(repository.tags()[1].catalogue)
    Path(catalogue).write_bytes(b"damaged")
    clock.forward(days=9)
    before = there(repository), repository.head()
    with pytest.raises(RepositoryError):
        repository.collect(1, timedelta())
    assert (there(repository), repository.head()) == before


def test_others_publish_while_it_looks_and_lose_nothing(
    repository, make, contents, monkeypatch
):
    for text in (b"one", b"two", b"three"):
        publish(repository, b"/t", make.file(b"f", text))
    names = type(repository._storage).names

    def late(storage):
        found = list(names(storage))
        # Nobody else would wait at all; what is due is used again.
        publish(repository, b"/again", make.file(b"g", b"one"))
        yield from found

    monkeypatch.setattr(type(repository._storage), "names", late)
    done = repository.collect(1, timedelta())
    assert done.removed >= 2
    found = contents(repository)
    assert found[b"/t/f"][2] == b"three"
    assert found[b"/again/g"][2] == b"one"


def test_others_publish_between_two_removals_and_lose_nothing(
    repository, make, contents, monkeypatch
):
    texts = [b"%d" % number for number in range(20)]
    publish(repository, b"/t", *(make.file(b"f" + x, x) for x in texts))
    publish(repository, b"/t")
    publish(repository, b"/u")
    pauses = []

    def pause(_):
        pauses.append(_)
        if len(pauses) == 3:
            publish(repository, b"/t", *(make.file(b"f" + x, x) for x in texts))

    monkeypatch.setattr("offload.cache.cvmfs.collection._AT_ONCE", 1)
    monkeypatch.setattr("offload.cache.cvmfs.collection.time.sleep", pause)
    done = repository.collect(1, timedelta())
    assert 2 <= done.removed < len(pauses)
    found = contents(repository)
    assert [found[b"/t/f" + x][2] for x in texts] == texts
    # All that is published since is there again, whatever had gone before.
    assert repository.collect(9, timedelta(), dry_run=True).removed < 20


def test_two_do_not_collect_at_once(repository, monkeypatch):
    names = type(repository._storage).names

    def late(storage):
        with pytest.raises(RepositoryBusyError):
            repository.collect(1, timedelta())
        return names(storage)

    monkeypatch.setattr(type(repository._storage), "names", late)
    repository.collect(1, timedelta())


def test_the_published_revision_is_never_forgotten(repository, make):
    publish(repository, b"/t", make.file(b"f"))
    for keep in (-1, 0, 1):
        assert "revision-2" not in [
            t.name for t in choose_forgotten(repository.tags(), keep)
        ]


@settings(max_examples=3)
@given(st.integers(0, 1 << 30))
def test_random_steps_with_crashes(tmp_path_factory, keys, seed):
    walk(tmp_path_factory.mktemp("used"), keys, seed, steps=20)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_random_steps_with_crashes(tmp_path, keys):
    walk(tmp_path, keys, seed=1, steps=10_000)


def walk(folder, keys, seed, steps):
    clock = used_repository.Clock()
    repository = Repository(
        folder / "repository", FQRN, keys, Settings(level=1, workers=1), clock
    ).create()
    used = used_repository.UsedRepository(repository, clock, seed)
    try:
        for _ in range(steps):
            used.step()
        used.check_nothing_is_left()
    finally:
        used.close()
