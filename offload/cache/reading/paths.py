"""Where images and layers lie in a repository, and what their trees are called."""

from __future__ import annotations

import re

from offload.cache.reading.errors import MisnamedError

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def image_path(digest: str) -> bytes:
    """Return where an image's tree lies in a repository."""
    name = hex_of(digest)
    return f"/.flat/{name[:2]}/{name}".encode()


def layer_path(digest: str) -> bytes:
    """Return where a layer lies in a repository."""
    name = hex_of(digest)
    return f"/.layers/{name[:2]}/{name}/layerfs".encode()


def path_of_tree(kind: str, name: str) -> bytes:
    """Return where what a tree was made of lies in a repository."""
    return image_path(name) if kind == "images" else layer_path(name)


def tree_name(path: str) -> str:
    """Return the tree, ``KIND/HEX``, of a path of the repository or a digest."""
    kind = "layers" if path.startswith("/.layers/") else "images"
    name = path.removesuffix("/layerfs").rpartition("/")[2]
    return f"{kind}/{hex_of(name)}"


def hex_of(digest: str) -> str:
    """Return the hex digits of a digest; raises MisnamedError if it is none."""
    if (found := _DIGEST.fullmatch(digest)) is None:
        raise MisnamedError(f"expected sha256:HEX (64 digits), got {digest[:80]!r}")
    return found[1]


def bytes_of(path: str) -> bytes:
    """Return a path as repositories have it."""
    return path.rstrip("/").encode("utf-8", "surrogateescape")


def is_wanted(path: bytes, wanted: list[bytes]) -> bool:
    """Whether a path is one of these, or lies above or below one."""
    return not path or any(
        path == one or path.startswith(one + b"/") or one.startswith(path + b"/")
        for one in wanted
    )
