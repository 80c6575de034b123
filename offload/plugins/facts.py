"""What the files in a pod's folder say: written by the wrapper, read here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import ValidationError

from offload.interlink.status import ContainerStatus
from offload.plugins.node.claim import read_claim
from offload.plugins.node.folder import PodFolder, read_json

STOPPED_CODES = frozenset({137, 143})
"""Exit codes of SIGKILL and SIGTERM."""
_DOUBTFUL = frozenset({"Error", "Lost"})
TERMINATED = "Terminated"
"""The wrapper's word for: the scheduler asked it to end, and only that knows why."""


@dataclass(frozen=True, slots=True)
class Done:
    """The wrapper's last word."""

    statuses: dict[str, ContainerStatus]
    reason: str = ""
    stop: str = ""
    """Why it was told to end."""
    attempt: int = 0
    outputs_digest: str = ""
    outputs_bytes: int = 0

    @property
    def is_conclusive(self) -> bool:
        """Whether it is certain why the pod ended, without asking the scheduler.

        A process that was killed may have been killed for its memory, by a kernel that
        tells the scheduler only; or the scheduler has signalled it beside the wrapper.
        """
        ends = [s.state.terminated for s in self.statuses.values()]
        was_killed = any(
            end is not None
            and end.exit_code in STOPPED_CODES
            and end.reason in _DOUBTFUL
            for end in ends
        )
        return self.stop != TERMINATED and not was_killed


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a pod's folder says."""

    allocation: str = ""
    """Who has claimed the pod; empty for nobody."""
    attempt: int = 0
    done: Done | None = None
    statuses: dict[str, ContainerStatus] = field(default_factory=dict)


def read_facts(folder: PodFolder) -> Facts:
    """Read the folder of a pod; what is damaged counts as not there."""
    try:
        claim = read_claim(folder)
    except ValueError:
        claim = None
    attempt = claim.attempt if claim else 0
    done = _read_done(folder)
    return Facts(
        allocation=claim.allocation if claim else "",
        attempt=attempt,
        # Of an attempt before the one that has the pod now: it says nothing any more.
        done=done if done is not None and done.attempt >= attempt else None,
        statuses=_read_statuses(folder),
    )


def _read_statuses(folder: PodFolder) -> dict[str, ContainerStatus]:
    found = {}
    for path in sorted(folder.status.glob("*.json")):
        if path == folder.done or path.name.startswith("."):
            continue
        try:
            status = ContainerStatus.model_validate_json(path.read_bytes())
        except (ValidationError, OSError):
            continue
        found[status.name] = status
    return found


def _read_done(folder: PodFolder) -> Done | None:
    try:
        document = read_json(folder.done)
    except (json.JSONDecodeError, OSError):
        return None
    if not isinstance(document, dict):
        return None
    listed = [
        *(document.get("containers") or ()),
        *(document.get("init_containers") or ()),
    ]
    try:
        statuses = [ContainerStatus.model_validate(each) for each in listed]
    except ValidationError:
        return None
    outputs = document.get("outputs") or {}
    return Done(
        statuses={status.name: status for status in statuses},
        reason=str(document.get("reason") or ""),
        stop=str(document.get("stop") or ""),
        attempt=int(document.get("attempt") or 0),
        outputs_digest=str(outputs.get("digest") or ""),
        outputs_bytes=int(outputs.get("size") or 0),
    )
