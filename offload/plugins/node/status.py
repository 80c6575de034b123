"""``status/CONTAINER.json``: a ``v1.ContainerStatus`` per container.

Source of names: Kubernetes API reference, "ContainerStatus v1 core".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from offload.plugins.node.folder import PodFolder, write_json
from offload.plugins.node.pod import Container

State = dict[str, Any]
"""A ``v1.ContainerState``: it goes to JSON as it is."""


def timestamp(seconds: float) -> str:
    """Return a Unix time as Kubernetes writes it."""
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    return moment.isoformat().replace("+00:00", "Z")


def waiting(reason: str, message: str) -> State:
    """Say for what a container waits."""
    return {"waiting": {"reason": reason, "message": message}}


def running(began: float) -> State:
    """Say since when it runs."""
    return {"running": {"startedAt": timestamp(began)}}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a container ended."""

    code: int
    signal: int
    reason: str
    message: str
    began: float
    finished: float

    def to_state(self) -> State:
        state: dict[str, object] = {
            "exitCode": self.code,
            "reason": self.reason,
            "message": self.message,
            "startedAt": timestamp(self.began),
            "finishedAt": timestamp(self.finished),
        }
        if self.signal:
            state["signal"] = self.signal
        return {"terminated": state}


def write_status(
    folder: PodFolder,
    container: Container,
    state: State,
    *,
    last: State | None = None,
    restarts: int = 0,
) -> dict[str, Any]:
    """Replace what is known of a container, and return it."""
    is_running = "running" in state
    status = {
        "name": container.name,
        "state": state,
        "lastState": last or {},
        "ready": is_running,
        "started": is_running,
        "restartCount": restarts,
        "image": container.image,
        "imageID": "",
    }
    write_json(folder.status / f"{container.name}.json", status, is_durable=False)
    return status
