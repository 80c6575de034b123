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
_PASSING_S = 1800.0
"""So much sooner where the reason may be an outage."""


def note(
    work: Path, node: str, now: float, problem: str = "", *, may_pass: bool = False
) -> None:
    """Write down that environments can be read lazily on a node, or why not.

    Args:
        work: the site's work area.
        node: its name.
        now: Unix time.
        problem: why not; empty if they can.
        may_pass: whether the problem may be over soon by itself.
    """
    fact = {"time": now, "problem": problem, "may_pass": may_pass}
    write_json(_path(work, node), fact, is_durable=False)


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


def why_no_mounts() -> str:
    """Return why nothing can be mounted on this machine; empty if it can."""
    from offload.cache import CacheError
    from offload.cache.reading.mounting import require_mounting

    try:
        require_mounting()
    except CacheError as error:
        return str(error)
    return ""


def why_unread(work: Path, reading: Mapping[str, Any]) -> str:
    """Return why the repository cannot be read on this machine now; empty if it can.

    Some seconds pass where nobody answers.

    Args:
        work: the site's work area.
        reading: how the repository is read.
    """
    from offload.cache import CacheError
    from offload.cache.reading.cache import RepositoryCache
    from offload.cache.reading.settings import RepositorySettings
    from offload.plugins.node.reaching import why_unreachable

    try:
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
        case {"time": float(at), "problem": str(problem), "may_pass": bool(may_pass)}:
            known_s = _PASSING_S if may_pass else _KNOWN_S
            # Nodes' clocks differ, and may have been set back.
            return problem if abs(now - at) < known_s else None
        case _:
            return None
