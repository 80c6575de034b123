"""Tell the agent that there is something to do; have one started if none runs."""

from __future__ import annotations

import json

from offload.jobs.errors import JobsError
from offload.jobs.local_http import ask
from offload.jobs.settings import Settings
from offload.jobs.unix_sockets import connect

NOBODY = (
    "no agent carries it: the facility is not running; it goes on after `facility up`"
)
_TIMEOUT_S = 5.0


def wake(settings: Settings) -> bool:
    """Return whether an agent has heard of it, or is being started.

    The ledger says what there is to do, so a lost call loses nothing.
    """
    try:
        status, _ = ask(settings.agent_socket, "POST", "/wake", timeout_s=_TIMEOUT_S)
    except OSError:
        return _ask_launcher(settings)
    return status < 300


def _ask_launcher(settings: Settings) -> bool:
    try:
        with connect(settings.launcher_socket, _TIMEOUT_S) as launcher:
            launcher.sendall(b"wake\n")
            with launcher.makefile("rb") as answers:
                line = answers.readline()
    except OSError:
        return False
    if not line:
        return False
    answer = json.loads(line)
    if "error" in answer:
        raise JobsError(str(answer["error"]))
    return True
