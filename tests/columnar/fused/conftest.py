"""Compiled code goes to a folder of the tests' own."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_code_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
