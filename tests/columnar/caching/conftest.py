"""A store of the test's own: nobody's cache is written."""

import pytest

from facility.columnar.caching import ColumnStore, columns


@pytest.fixture
def store(tmp_path):
    return ColumnStore(tmp_path / "cache", 10**6)


@pytest.fixture
def used(store, monkeypatch):
    """The same, where runs in this process look for one."""
    monkeypatch.setattr(columns, "default_store", lambda: store)
    return store
