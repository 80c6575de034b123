"""How images are called, and where a repository has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from offload.cache.publishing.errors import PublishingError

INBOX = "inbox"
"""The registry of images that were handed over directly: no host has this name."""

_REGISTRY = re.compile(
    r"inbox|[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?"
)
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_REPOSITORY = 255


def is_digest(text: str) -> bool:
    """Whether a text is a digest that we use."""
    return _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether a text can be a tag (Distribution Specification 1.1)."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether a text can name a repository of a registry."""
    return len(text) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A name by which an image is known: ``HOST/NAME:TAG`` or ``HOST/NAME@DIGEST``.

    Its parts become names of files: nothing else than these forms can be made.

    Raises:
        PublishingError: a part is none.
    """

    registry: str
    """Host, with the port if there is one; :data:`INBOX` for none."""
    repository: str
    version: str
    """A tag, or a digest."""

    def __post_init__(self) -> None:
        if not (
            _REGISTRY.fullmatch(self.registry)
            and is_repository(self.repository)
            and (is_tag(self.version) or is_digest(self.version))
        ):
            raise _misnamed(str(self))

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read what :meth:`__str__` writes.

        Raises:
            PublishingError: it is something else.
        """
        name, at, digest = text.partition("@")
        registry, _, rest = name.partition("/")
        repository, colon, tag = rest.rpartition(":")
        if at and is_digest(digest):
            return cls(registry, rest, digest)
        if at or not colon:
            raise _misnamed(text)
        return cls(registry, repository, tag)

    @property
    def is_pinned(self) -> bool:
        """Whether it names its image by digest, so that it never means another."""
        return is_digest(self.version)

    @property
    def link(self) -> bytes:
        """Path in the repository where people find the image."""
        return f"images/{self}".encode()

    def __str__(self) -> str:
        mark = "@" if is_digest(self.version) else ":"
        return f"{self.registry}/{self.repository}{mark}{self.version}"


def _misnamed(text: str) -> PublishingError:
    return PublishingError(
        f"expected an image HOST/NAME:TAG or HOST/NAME@sha256:HEX, got {text[:200]!r}"
    )


def flat_path(image: str) -> bytes:
    """Return the path of an image's tree, by the digest of its manifest."""
    return _by_digest(".flat", image)


def layer_path(layer: str) -> bytes:
    """Return the path of a layer, by the digest of its blob."""
    return _by_digest(".layers", layer)


def metadata_path(image: str) -> bytes:
    """Return the path of an image's manifest and of what made its tree."""
    return _by_digest(".metadata", image)


def _by_digest(top: str, digest: str) -> bytes:
    if not is_digest(digest):
        raise PublishingError(f"expected sha256:HEX, got {digest[:100]!r}")
    name = digest.removeprefix("sha256:")
    return f"{top}/{name[:2]}/{name}".encode()


@dataclass(frozen=True, slots=True)
class Wish:
    """Images of others that are to be published: ``HOST/NAME:PATTERN``.

    ``*`` and ``?`` in the pattern stand for characters of a tag.

    Raises:
        PublishingError: it is none.
    """

    registry: str
    repository: str
    pattern: str

    def __post_init__(self) -> None:
        plain = self.pattern.replace("*", "x").replace("?", "x")
        try:
            Reference(self.registry, self.repository, plain)
        except PublishingError:
            raise PublishingError(
                f"expected an image HOST/NAME:PATTERN, got {str(self)[:200]!r}"
            ) from None

    @classmethod
    def parse(cls, text: str) -> Wish:
        """Read ``HOST/NAME:PATTERN``.

        Raises:
            PublishingError: it is something else.
        """
        name, _, pattern = text.rpartition(":")
        registry, _, repository = name.partition("/")
        return cls(registry, repository, pattern)

    def covers(self, reference: Reference) -> bool:
        """Whether an image is meant; never one that is named by digest only."""
        return (
            (self.registry, self.repository)
            == (reference.registry, reference.repository)
            and not reference.is_pinned
            and fnmatchcase(reference.version, self.pattern)
        )

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.pattern}"
