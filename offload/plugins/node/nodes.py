"""What is known of the site's nodes: whether jobs there can read environments lazily.

``nodes/NAME.json`` in the work area, from the wrappers of jobs; it ages. The plugin lets
a job begin before its environment is there only where every node that was seen lately
can.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from offload.plugins.node.folder import read_json, write_json

_KNOWN_S = 86400.0
"""A node is asked again after so long."""


def note(work: Path, node: str, now: float, problem: str = "") -> None:
    """Write down that environments can be read lazily on a node, or why not."""
    write_json(_path(work, node), {"time": now, "problem": problem}, is_durable=False)


def noted(work: Path, node: str, now: float) -> str | None:
    """Return what :func:`note` was told lately; None if somebody is to look again."""
    return _problem(_path(work, node), now)


def can_read_lazily(work: Path, now: float) -> bool:
    """Whether nodes were seen lately, and all of them can."""
    problems = [
        problem
        for path in (work / "nodes").glob("*.json")
        if (problem := _problem(path, now)) is not None
    ]
    return bool(problems) and not any(problems)


def look(work: Path, reading: Mapping[str, Any]) -> str:
    """Return why environments cannot be read lazily on this machine; empty if they can.

    Some seconds pass where nobody answers.

    Args:
        work: the site's work area.
        reading: how the repository is read.
    """
    from offload.cache import CacheError
    from offload.cache.reading.cache import RepositoryCache
    from offload.cache.reading.mounting import require_mounting
    from offload.cache.reading.settings import RepositorySettings
    from offload.plugins.node.reaching import why_unreachable

    try:
        require_mounting()
        settings = RepositorySettings.model_validate(reading)
        if problem := why_unreachable(settings):
            return problem
        with RepositoryCache(work / "repository", settings) as cache:
            cache.refresh()
    except CacheError as error:
        return str(error)
    return ""


def _path(work: Path, node: str) -> Path:
    # A machine may be called anything: no name is to lead out of the folder.
    return work / "nodes" / f"{quote(node, safe='')}.json"


def _problem(path: Path, now: float) -> str | None:
    try:
        fact = read_json(path)
    except ValueError:  # cut off by a crash: nobody waits for it to be on the disk
        return None
    match fact:
        # Nodes' clocks differ, and may have been set back.
        case {"time": float(at), "problem": str(problem)} if abs(now - at) < _KNOWN_S:
            return problem
        case _:
            return None
