"""Takes names of public images out of a registry, and nothing else.

Distribution Specification 1.1, "Deleting tags" and "Deleting manifests": a registry need
not allow either, and the most common one removes manifests only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

from offload.snapshot.images.public import public_tag
from offload.snapshot.registry.client import RegistryClient
from offload.snapshot.registry.transfer import Registry
from offload.snapshot.store.local import MANIFEST_TYPE

_DONE = frozenset({202, 404})
_UNSUPPORTED = frozenset({400, 405})
_OURS = re.compile(r"(?:env|snapshot)-[0-9a-f]{64}")
_PAGE = 1000


def remove_public(image: str, registry: Registry) -> bool:
    """Remove the name of a public image; return whether it is gone.

    The image itself is removed only where the registry cannot remove a name, and only if
    no other name means it.

    Args:
        image: digest of its manifest.
        registry: where :func:`~offload.snapshot.registry.transfer.push_public` put it.

    Raises:
        RegistryAwayError: the registry is away.
        RegistryRefusedError: we may not.
    """
    with registry.client() as client:
        if _delete(client, public_tag(image)):
            return True
        if any(_digest(client, other) == image for other in _foreign(client)):
            return False
        return _delete(client, image)


def _delete(client: RegistryClient, name: str) -> bool:
    url = client.url(f"manifests/{name}")
    response = client.request("DELETE", url, expect=_DONE | _UNSUPPORTED)
    return response.status_code in _DONE


def _foreign(client: RegistryClient) -> Iterator[str]:
    """Yield names that may mean the same: not those that hold the digest they mean."""
    last = ""
    while True:
        query = urlencode({"n": _PAGE} | ({"last": last} if last else {}))
        url = client.url(f"tags/list?{query}")
        tags = client.request("GET", url, expect=frozenset({200})).json()["tags"] or []
        for other in tags:
            if _OURS.fullmatch(other) is None:
                yield other
        if len(tags) < _PAGE:
            return
        last = tags[-1]


def _digest(client: RegistryClient, tag: str) -> str | None:
    response = client.request(
        "HEAD",
        client.url(f"manifests/{tag}"),
        expect=frozenset({200, 404}),
        headers={"Accept": MANIFEST_TYPE},
    )
    told: str | None = response.headers.get("Docker-Content-Digest")
    return told
