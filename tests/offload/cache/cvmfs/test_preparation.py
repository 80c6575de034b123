"""What is prepared while others publish is put in place at once, whole, or not at all."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.repository import Repository, Settings

FQRN = "environments.example.org"
DAY = timedelta(days=1)


@pytest.fixture
def small(tmp_path, keys, clock):
    """Two repositories whose catalogues are cut soon."""
    settings = Settings(level=1, workers=2, most_rows=20)
    return [
        Repository(tmp_path / name, FQRN, keys, settings, clock).create()
        for name in ("one", "other")
    ]


def image(make, mark=b""):
    """Puts an image of two layers and what is beside it."""

    def put(changes):
        layers = [b"/.layers/" + mark + name for name in (b"a", b"b")]
        for layer in layers:
            tree = [
                make.file(b"%d/%d" % (n % 5, n), layer + b"%d" % n) for n in range(60)
            ]
            changes.put_tree(layer, tree)
        changes.put_tree(b"/.layers/large", [make.file(b"f", b"%9d" % 7 * 1_000_000)])
        changes.merge(b"/.flat/" + mark, [*layers, b"/.layers/large"])
        changes.put(b"/.metadata/" + mark, make.file(b"", b"manifest"))
        changes.symlink(b"/images/" + mark, b"../.flat/" + mark)

    return put


def prepare(repository, *puts):
    with repository.preparation(wait_s=60) as preparation:
        for put in puts:
            put(preparation)
        return preparation.finish()


def publish(repository, *prepared):
    with repository.transaction() as transaction:
        for each in prepared:
            transaction.put_prepared(each)
        return transaction.commit()


def test_it_is_the_same_as_what_is_put_in_at_once(small, make, contents):
    one, other = small
    for repository in small:
        with repository.transaction() as transaction:
            transaction.put_tree(b"/.flat/x", [make.file(b"old", b"old")])
            transaction.commit()
    before = one.head(), contents(one)
    prepared = prepare(one, image(make, b"x"))
    assert (one.head(), contents(one)) == before
    manifest = publish(one, prepared)
    with other.transaction() as transaction:
        image(make, b"x")(transaction)
        assert transaction.commit().revision == manifest.revision == 3
    assert contents(one) == contents(other)
    # To the last byte, with what catalogues count.
    assert manifest.catalogue == other.head().catalogue
    assert publish(one, prepared) == manifest


def test_others_publish_meanwhile(repository, make, contents):
    first = prepare(repository, image(make, b"1"))
    second = prepare(repository, image(make, b"2"))
    publish(repository, second)
    publish(repository, prepare(repository, image(make, b"3")))
    with repository.transaction() as transaction:
        transaction.remove(b"/.layers/2a")
        transaction.commit()
    publish(repository, first)
    found = contents(repository)
    assert {b"/images/1", b"/images/2", b"/images/3", b"/.layers/1a"} <= found.keys()
    assert b"/.layers/2a" not in found
    assert found[b"/.flat/1/3/58"][2] == b"/.layers/1b58"


def test_many_prepare_at_once(repository, make, contents):
    meeting = threading.Barrier(3, timeout=60)
    prepared = {}

    def work(number):
        def meet(_):
            meeting.wait()

        prepared[number] = prepare(repository, meet, image(make, b"%d" % number), meet)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publish(repository, *prepared.values())
    found = contents(repository)
    assert [found[b"/.flat/%d/0/0" % n][2] for n in range(3)] == [
        b"/.layers/%db0" % n for n in range(3)
    ]


def test_layers_that_are_published_are_laid_below(repository, make, contents):
    with repository.transaction() as transaction:
        transaction.put_tree(b"/base", [make.file(b"a", b"base"), make.file(b"b")])
        transaction.commit()

    def put(changes):
        changes.put_tree(b"/upper", [make.file(b"a", b"upper")])
        changes.merge(b"/flat", [b"/base", b"/upper"])

    publish(repository, prepare(repository, put))
    found = contents(repository)
    assert (found[b"/flat/a"][2], found[b"/flat/b"][2]) == (b"upper", b"")


def test_collections_within_the_grace_period_take_nothing_of_it(
    repository, make, contents, clock
):
    prepared = prepare(repository, image(make, b"x"))
    repository.collect(1, DAY)
    clock.forward(hours=23)
    repository.collect(1, DAY)
    publish(repository, prepared)
    assert contents(repository)[b"/.metadata/x"][2] == b"manifest"


@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_removed_meanwhile_is_noticed_and_made_again(
    is_known, repository, make, contents, clock
):
    if is_known:  # what is relied on was there, and nothing names it any more
        publish(repository, prepare(repository, image(make, b"x")))
        with repository.transaction() as transaction:
            for path in (b"/.layers", b"/.flat", b"/.metadata", b"/images"):
                transaction.remove(path)
            transaction.commit()
        repository.collect(1, DAY)
        clock.forward(hours=25)
    before = contents(repository)
    prepared = prepare(repository, image(make, b"x"))
    assert repository.collect(1, DAY if is_known else timedelta()).removed > 50
    with repository.transaction() as transaction:
        with pytest.raises(RepositoryError, match="prepare it again"):
            transaction.put_prepared(prepared)
        transaction.commit()
    assert contents(repository) == before
    publish(repository, prepare(repository, image(make, b"x")))
    assert contents(repository)[b"/.flat/x/0/0"][2] == b"/.layers/xb0"


def test_what_is_removed_of_others_does_not_matter(repository, make, contents):
    with repository.transaction() as transaction:
        transaction.put_tree(b"/old", [make.file(b"a", b"old")])
        transaction.commit()
    with repository.transaction() as transaction:
        transaction.remove(b"/old")
        transaction.commit()
    with repository.preparation() as preparation:
        assert repository.collect(1, timedelta()).removed > 2
        image(make, b"x")(preparation)
        prepared = preparation.finish()
    publish(repository, prepared)
    assert contents(repository)[b"/.metadata/x"][2] == b"manifest"


def test_what_is_found_damaged_meanwhile_is_noticed(repository, make):
    prepared = prepare(repository, image(make, b"x"))
    name = next(iter(prepared.entries[0][1].objects()))
    Path(repository._storage.path(name)).write_bytes(b"x")
    list(repository.verify())
    with repository.transaction() as transaction, pytest.raises(RepositoryError):
        transaction.put_prepared(prepared)


def test_drafts_are_left_while_somebody_prepares(repository, make):
    drafts = repository.public.parent / "private" / "drafts"
    with repository.preparation():
        (drafts / "x").touch()
        with repository.transaction() as transaction:
            transaction.commit()
        repository.collect(1, DAY)
        assert os.listdir(drafts) == ["x"]
    with repository.transaction():
        assert os.listdir(drafts) == []


def test_what_was_prepared_is_known_to_who_does_it_again(repository, make, monkeypatch):
    prepare(repository, image(make, b"x"))

    def fail(data, level):
        raise AssertionError("compressed again")

    monkeypatch.setattr("offload.cache.cvmfs.packing.compress", fail)
    publish(repository, prepare(repository, image(make, b"x")))
