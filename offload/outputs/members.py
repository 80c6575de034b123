"""Names in a pack, and in the folder where one lands."""

from __future__ import annotations

WORKING = b"working"
"""Folder of what was in the working folder."""

ELSEWHERE = b"elsewhere"
"""Folder of what was not, by absolute paths without their first slash."""

CHANGES = "changes.json"
"""Last member of every pack."""


def member_name(area: bytes, path: bytes, working: bytes) -> bytes:
    """Return the name of ``path`` in ``area``; both as the job saw them."""
    if area == working:
        return WORKING + b"/" + path
    return b"/".join([ELSEWHERE, area.strip(b"/"), path])
