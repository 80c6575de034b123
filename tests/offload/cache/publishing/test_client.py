"""Whatever name is asked for, what cannot be asked is said in one line."""

import pytest

from offload.cache.publishing.client import PublisherClient
from offload.cache.publishing.errors import PublisherAwayError, RefusedRequestError


@pytest.mark.parametrize("name", ["sha256:\x01", "../../collect?x#y", "\udcff"])
def test_names_are_quoted_and_what_is_no_text_is_refused(name):
    with PublisherClient("http://127.0.0.1:9") as client:
        for ask in (client.status, client.remove, lambda x: client.pin(x, x)):
            with pytest.raises(PublisherAwayError, match="cannot be reached"):
                ask(name)
        with pytest.raises(RefusedRequestError, match="plain letters"):
            client.rollback("\udcff")
        with pytest.raises(RefusedRequestError, match="plain letters"):
            client.bundle("x" * 200_000, b"")
