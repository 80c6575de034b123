"""What registries tell: which name to look at again. No I/O.

An event is a hint, not an order: what a name means is asked of the registry itself when
its turn comes. So events may come twice, late or in any order. They may come early, too:
distribution tells of a push before the tag leads to it.

Sources: CNCF Distribution, "Work with notifications"; Harbor, "Configure Webhook
Notifications" (payload format Default); RFC 6750 for ``Bearer``; ``X-Hub-Signature-256``
as GitHub, Quay and others send it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from offload.cache.publishing.errors import RefusedEventError
from offload.cache.publishing.references import is_digest, is_repository, is_tag

LARGEST_BODY = 4 << 20
"""Bytes; a registry sends one event, or a few."""
SIGNATURE = "x-hub-signature-256"

_ACTIONS = {"push", "delete", "mount"}
_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_TYPES = {"PUSH_ARTIFACT", "DELETE_ARTIFACT"}


def check_sender(body: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Make sure that who sends an event knows the secret.

    It says so by the secret itself (``Authorization``, after ``Bearer`` or alone, as
    Harbor sends it), or by the HMAC-SHA256 of the body.

    Raises:
        RefusedEventError: it does not. The secret is compared in constant time.
    """
    signature = headers.get(SIGNATURE)
    if signature is not None:
        expected = hmac.new(secret.encode(), body, "sha256").hexdigest()
        if _same(signature.removeprefix("sha256="), expected):
            return
    else:
        told = headers.get("authorization", "")
        scheme, _, token = told.partition(" ")
        if _same(token.strip() if scheme.lower() == "bearer" else told, secret):
            return
    raise RefusedEventError(
        "an event without the right secret: expected it in Authorization, or a right "
        "X-Hub-Signature-256; see `publisher` in facility.yaml"
    )


def _same(told: str, expected: str) -> bool:
    return hmac.compare_digest(told.encode(), expected.encode())


class Told(NamedTuple):
    """A name that may have changed."""

    repository: str
    version: str
    """Tag or digest."""
    digest: str | None
    """What the name means, or will in a moment, as far as the event knows."""


class Read(NamedTuple):
    """What a message of a registry says."""

    names: tuple[Told, ...]
    """Each once."""
    odd: int
    """How much of it makes no sense: no event that we know, or of no image's name."""


def read_events(body: bytes) -> Read:
    """Return which names may have changed.

    Blobs, pulls and what else registries tell of are left out, and so is what makes no
    sense.
    """
    names: dict[Told, None] = {}
    odd = 0
    for event, read in _parts(body):
        try:
            found = tuple(read(event))
        except _NONSENSE:
            odd += 1
            continue
        for told in found:
            if is_repository(told.repository) and (
                is_tag(told.version) or is_digest(told.version)
            ):
                names[told] = None
            else:
                odd += 1
    return Read(tuple(names), odd)


def _parts(body: bytes) -> list[tuple[Any, Callable[[Any], Iterator[Told]]]]:
    try:
        document = json.loads(body)
        if "events" in document:
            return [(event, _of_distribution) for event in document["events"]]
    except _NONSENSE:
        document = None
    return [(document, _of_harbor)]


def _of_distribution(event: Any) -> Iterator[Told]:
    target = event["target"]
    if event["action"] not in _ACTIONS:
        return
    # Blobs have a type, too; the deletion of anything has none.
    kind = str(target.get("mediaType", ""))
    if kind and not _is_manifest(kind):
        return
    version = target.get("tag") or target.get("digest")
    if version:
        is_push = event["action"] == "push"
        digest = _expected(target) if is_push else None
        yield Told(str(target["repository"]), str(version), digest)


def _is_manifest(kind: str) -> bool:
    return "manifest" in kind or "image.index" in kind


def _of_harbor(document: Any) -> Iterator[Told]:
    if document["type"] not in _TYPES:
        return
    data = document["event_data"]
    repository = str(data["repository"]["repo_full_name"])
    for resource in data["resources"]:
        version = resource.get("tag") or resource.get("digest")
        if version:
            is_push = document["type"] == "PUSH_ARTIFACT"
            digest = _expected(resource) if is_push else None
            yield Told(repository, str(version), digest)


def _expected(target: Any) -> str | None:
    """Return the digest that a name will mean, if it is one that we would see."""
    digest = str(target.get("digest"))
    return digest if is_digest(digest) else None
