"""Workers that are there, whatever an earlier test has done to them."""

from contextlib import suppress

import pytest


@pytest.fixture(scope="session")
def ensure_workers():
    """A nanny whose worker is killed while it starts gives up: then start another."""

    def ensure(cluster, client, count):
        for _ in range(5):
            cluster.scale(count)
            with suppress(TimeoutError):
                client.wait_for_workers(count, timeout=20)
                return
        pytest.fail("this machine cannot start workers")

    return ensure
