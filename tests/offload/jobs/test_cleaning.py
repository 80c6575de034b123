"""Snapshots that no job needs go after a while; the others stay."""

import os
import time

import pytest

from offload.jobs.cleaning import clean
from offload.jobs.submission import submit
from offload.snapshot import LocalStore, Request, freeze

DAY_S = 86400.0


@pytest.fixture
def store(settings):
    return LocalStore(settings.snapshots)


@pytest.fixture
def frozen(store, tmp_path):
    """Freeze something new that was frozen so many days ago."""

    def make(name, days):
        root = tmp_path / name
        root.mkdir()
        (root / "x.py").write_text(name)
        snapshot = freeze(Request(root), store)
        then = time.time() - days * DAY_S
        os.utime(store.blob_path(snapshot.image), (then, then))
        return snapshot

    return make


def test_a_snapshot_without_a_job_goes_after_the_facilitys_time(
    settings, store, frozen
):
    old, young = frozen("old", 8), frozen("young", 6)
    week = settings.model_copy(update={"retention_s": 7 * DAY_S})
    assert clean(week).images == 1
    assert store.images() == (young.image,)
    assert not store.has(old.image)


def test_what_an_open_job_needs_stays(settings, store, frozen, spec_of):
    old = frozen("old", 400)
    submit(old, spec_of(), settings)
    assert clean(settings, retention_s=0).images == 0
    assert store.images() == (old.image,)


def test_the_time_can_be_said_for_once_but_the_youngest_stay(settings, store, frozen):
    frozen("old", 1)
    young = frozen("young", 0)
    assert clean(settings).images == 0
    assert clean(settings, retention_s=0).images == 1
    assert store.images() == (young.image,)


def test_what_is_frozen_again_is_young_again(settings, store, frozen, tmp_path):
    old = frozen("old", 400)
    assert freeze(Request(tmp_path / "old"), store).image == old.image
    assert clean(settings).images == 0
