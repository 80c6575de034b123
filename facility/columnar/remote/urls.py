"""Which names are URLs, and how they are shown to people."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from facility.columnar.errors import DatasetError

Location = Path | str
"""Where a file is: a path here, or a URL."""


def is_remote(name: str | os.PathLike[str]) -> bool:
    """Return whether it is a URL: ``scheme://...``, but not ``file://``."""
    text = os.fspath(name)
    return "://" in text and not text.startswith("file://")


def shown(url: str) -> str:
    """Return the URL without what may be secret: user, password, query, fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def checked(url: str) -> str:
    """Return the URL in the one form that is used everywhere.

    Raises:
        DatasetError: it names no host or no file.
    """
    parts = urlsplit(url)
    if parts.scheme in ("root", "roots", "http", "https"):
        if not parts.netloc:
            raise DatasetError(
                f"{shown(url)} names no host: expected scheme://HOST/..."
            )
        if not parts.path.strip("/"):
            raise DatasetError(f"{shown(url)} names no file: expected .../FILE.root")
        if parts.scheme.startswith("root") and not parts.path.startswith("//"):
            # XRootD: one slash ends the host, the second begins the path.
            return parts._replace(path=f"/{parts.path}").geturl()
    return url
