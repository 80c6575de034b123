"""The end of a pod: outputs packed, ``status/done.json`` written, in this order.

``done.json``::

    {"phase": "Succeeded" | "Failed", "reason": ..., "message": ...,
     "exit_code": of the first container that failed, else 0,
     "attempt": N, "allocation": ..., "node": ..., "runtime": ...,
     "stop": why it was told to end ("Cancelled", "DeadlineExceeded", "Terminated"),
     "started_at": ..., "finished_at": ...,      (RFC 3339)
     "containers": [v1.ContainerStatus], "init_containers": [v1.ContainerStatus],
     "outputs": {"digest", "size"} or null, "outputs_error": one line or ""}

A job that was asked to end by its scheduler (``stop`` is ``Terminated``) and is put
back into the queue by it begins anew: its ``done.json`` then is of an older attempt.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from offload.plugins.node.claim import Claim
from offload.plugins.node.folder import ExitCode, PodFolder, read_json, write_json
from offload.plugins.node.packing import pack_outputs
from offload.plugins.node.pod import Container, Pod
from offload.plugins.node.runs import current_run
from offload.plugins.node.status import Ended, timestamp, waiting, write_status
from offload.plugins.node.stopping import TERMINATED
from offload.plugins.node.termination import LOST


def finish(
    folder: PodFolder,
    pod: Pod,
    claim: Claim,
    *,
    ended: Mapping[str, Ended],
    stop: str | None,
    reason: str,
    message: str,
    runtime: str,
) -> ExitCode:
    """Pack the outputs, say how the pod ended; return the wrapper's exit code."""
    statuses = [_status(folder, container, ended, reason, message)
                for container in pod.containers]  # fmt: skip
    failed = [e for c in pod.containers if (e := ended.get(c.name)) and e.code != 0]
    is_complete = all(c.name in ended for c in pod.containers)
    has_succeeded = is_complete and not failed and not reason
    outputs, outputs_error = pack_outputs(folder, pod)
    first = failed[0] if failed else None
    write_json(
        folder.done,
        {
            "phase": "Succeeded" if has_succeeded else "Failed",
            "reason": reason or (first.reason if first else ""),
            "message": message or (first.message if first else ""),
            "exit_code": first.code if first else (0 if has_succeeded else 128),
            "attempt": claim.attempt,
            "allocation": claim.allocation,
            "node": claim.node,
            "runtime": runtime,
            "stop": stop,
            "started_at": timestamp(claim.began),
            "finished_at": timestamp(time.time()),
            "containers": statuses[len(pod.init) :],
            "init_containers": statuses[: len(pod.init)],
            "outputs": outputs,
            "outputs_error": outputs_error,
        },
    )
    return ExitCode.SUCCEEDED if has_succeeded else ExitCode.FAILED


def finished(folder: PodFolder, claim: Claim) -> ExitCode | None:
    """Return how the pod ended, if it has; a requeued one that was stopped has not."""
    match read_json(folder.done):
        case {"stop": stop, "attempt": int(attempt), "phase": str(phase)}:
            if stop == TERMINATED and attempt < claim.attempt:
                return None
            return ExitCode.SUCCEEDED if phase == "Succeeded" else ExitCode.FAILED
        case _:
            return None


def gather_ends(
    folder: PodFolder, pod: Pod, claim: Claim, *, reason: str, message: str
) -> dict[str, Ended]:
    """Return the ends of containers of a job that is dead, from what shims wrote.

    Who ran when it died has no exit code, and ended for the job's reason.
    """
    ended: dict[str, Ended] = {}
    for container in pod.containers:
        run = current_run(folder, claim.attempt, container)
        end = run.ended(time.time(), reason)
        if end is not None and end.reason == LOST:
            end = replace(end, reason=reason, message=message)
        if end is not None:
            ended[container.name] = end
    return ended


def _status(
    folder: PodFolder,
    container: Container,
    ended: Mapping[str, Ended],
    reason: str,
    message: str,
) -> dict[str, Any]:
    """Return a container's last status; one that never ran ends with the pod."""
    before = read_json(folder.status / f"{container.name}.json")
    end = ended.get(container.name)
    match before:
        case {"state": {"terminated": dict()}} if isinstance(before, dict):
            return before
        case {"lastState": dict(last), "restartCount": int(restarts)}:
            pass
        case _:
            last, restarts = {}, 0
    if end is None and not reason:
        state = waiting("PodInitializing", "an init container failed")
    elif end is None:
        now = time.time()
        state = Ended(128, 0, reason, message, now, now).to_state()
    else:
        state = end.to_state()
    return write_status(folder, container, state, last=last, restarts=restarts)
