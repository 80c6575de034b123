"""Which files a URL with ``*``, or one of a folder, stands for."""

from __future__ import annotations

from facility.columnar.errors import DatasetError
from facility.columnar.remote.files import RemoteFile
from facility.columnar.remote.urls import shown


def listed(url: str, endings: tuple[str, ...]) -> list[str]:
    """Return the URLs that match, sorted; a plain URL is itself, and not looked at.

    A URL that ends in ``/`` is a folder: its files with one of the endings.

    Raises:
        DatasetError: none matches, or the server cannot be asked.
    """
    if not url.endswith("/") and "*" not in url:
        return [RemoteFile(url).url]
    pattern = f"{url}*" if url.endswith("/") else url
    found = [
        name
        for name in RemoteFile(pattern).matches()
        if not url.endswith("/") or name.endswith(endings)
    ]
    if not found:
        raise DatasetError(f"no file matches {shown(pattern)}")
    return sorted(found)
