"""The two things that a wrapper is started for: to run a pod, and to close a dead one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from offload.plugins.node.claim import Claim, Claimed, lock, read_claim, take
from offload.plugins.node.claim import this_allocation as allocation_of
from offload.plugins.node.ending import finish, finished, gather_ends
from offload.plugins.node.folder import ExitCode, PodError, PodFolder, write_json
from offload.plugins.node.lifecycle import Lifecycle, SupersededError
from offload.plugins.node.pod import Pod, read_pod
from offload.plugins.node.published import UnwantedError
from offload.plugins.node.settings import NodeSettings
from offload.plugins.node.status import Ended
from offload.plugins.node.termination import LOST


def run(path: Path) -> ExitCode:
    """Run the pod of a folder, or go on with it, or say whose it is."""
    folder = PodFolder(path)
    try:
        pod = read_pod(folder.pod)
    except PodError as error:
        _say(str(error))
        return ExitCode.USAGE
    claim, outcome = take(folder, allocation_of(os.environ))
    if outcome is Claimed.TAKEN:
        _say(f"pod {path.name} is claimed already; nothing to do")
        return ExitCode.CLAIMED
    handle = lock(folder.lock)
    if handle is None:
        _say(f"pod {path.name}: another wrapper of this job is at work")
        return ExitCode.RUNNING
    code = finished(folder, claim)
    if code is not None:
        return code
    return _run_claimed(folder, pod, claim)


def _run_claimed(folder: PodFolder, pod: Pod, claim: Claim) -> ExitCode:
    reason = message = ""
    ended: dict[str, Ended] = {}
    lifecycle: Lifecycle | None = None
    try:
        lifecycle = Lifecycle(folder, pod, claim, NodeSettings.load(folder.work))
        lifecycle.run()
    except SupersededError as error:
        _say(str(error))
        return ExitCode.CLAIMED
    except UnwantedError as error:
        _say(str(error))
        if lifecycle is not None:
            lifecycle.abort()
    except PodError as error:
        # Any other error ends this process, and the next one goes on.
        reason, message = "ContainerCannotRun", str(error)
        _say(message)
        if lifecycle is not None:
            lifecycle.abort()
    stop = None
    if lifecycle is not None:
        ended = lifecycle.ended
        stop = lifecycle.stop
        lifecycle.clean_up()
    if stop is not None and not reason:
        reason, message = stop.reason, stop.message
    code = finish(
        folder,
        pod,
        claim,
        ended=ended,
        stop=stop.reason if stop else None,
        reason=reason,
        message=message,
        runtime=lifecycle.runtime_name if lifecycle else "",
    )
    if lifecycle is not None:
        lifecycle.remove_links()
    return code


def collect(path: Path, *, reason: str = "", message: str = "") -> ExitCode:
    """Close a pod whose job is dead: ends that are known, and outputs as they are.

    From then on no job can claim the pod.
    """
    folder = PodFolder(path)
    try:
        pod = read_pod(folder.pod)
    except PodError as error:
        _say(str(error))
        return ExitCode.USAGE
    nobody = Claim("", 0, time.time(), "")
    claim = read_claim(folder) or nobody
    write_json(
        folder.claim, Claim("closed", claim.attempt, claim.began, claim.node).to_json()
    )
    handle = lock(folder.lock)
    if handle is None:
        _say(f"pod {path.name}: its wrapper is still at work")
        return ExitCode.RUNNING
    code = finished(folder, claim)
    if code is not None:
        return code
    reason = reason or LOST
    message = message or "its job ended without a word"
    return finish(
        folder,
        pod,
        claim,
        ended=gather_ends(folder, pod, claim, reason=reason, message=message),
        stop=None,
        reason=reason,
        message=message,
        runtime="",
    )


def _say(line: str) -> None:
    """Tell the job's own output, which the site's people read."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
