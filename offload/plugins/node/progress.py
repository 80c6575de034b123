"""One container, from its first start to its end for good, a step at a time."""

from __future__ import annotations

import os
import time

from offload.plugins.node.folder import PodError
from offload.plugins.node.launching import Launcher
from offload.plugins.node.runs import Run, keep_previous_log
from offload.plugins.node.status import Ended, running, waiting, write_status
from offload.plugins.node.stopping import Stop, must_restart, restart_delay

LOOK_S = 1.0
"""How often the files are looked at that no signal tells of."""
START_S = 0.02
"""How often, while a shim starts."""
_SHIMS = 3
"""So many shims may end before they have started a container."""


class Progress:
    """What this wrapper knows of a container besides its files.

    Args:
        run: its latest.
        policy: ``restartPolicy`` of the pod.
        restart_delay_s: before its first restart.
        is_init: whether it is an init container.
    """

    def __init__(
        self, run: Run, policy: str, restart_delay_s: float, *, is_init: bool
    ) -> None:
        self.run = run
        self.is_running = False
        self._policy = policy
        self._restart_delay_s = restart_delay_s
        self._is_init = is_init
        self._shims = 0
        self._shim_pid = 0
        self._restart_at: float | None = None
        self._last: Ended | None = None

    def advance(self, launcher: Launcher, stop: Stop | None) -> Ended | None:
        """Do the next thing; return how it ended once that is for good.

        Args:
            launcher: starts it.
            stop: why the pod is to end, if it is.

        Raises:
            PodError: it cannot be started.
        """
        run, now = self.run, time.time()
        if not run.is_started:
            if stop is None:
                if self._restart_at is None or now >= self._restart_at:
                    self._ensure_shim(launcher)
                return None
            if not run.forbid(now):
                run.ask_to_end()
        ended = run.ended(now, stop.reason if stop else None)
        if ended is None:
            if not self.is_running:
                self.is_running = True
                self._write(running(run.began()))
            return None
        again = must_restart(self._policy, ended.code, is_init=self._is_init)
        if again and stop is None and ended.reason != "ContainerCannotRun":
            self._prepare_restart(ended, now)
            return None
        self._write(ended.to_state())
        return ended

    def pause_s(self, now: float) -> float:
        """Return after how many seconds its next step may be due."""
        pause_s = LOOK_S
        if self._shim_pid and not self.is_running:
            pause_s = START_S
        if self._restart_at is not None and self._restart_at > now:
            pause_s = min(pause_s, self._restart_at - now)
        return pause_s

    def _ensure_shim(self, launcher: Launcher) -> None:
        run = self.run
        if self._shim_pid:
            if not _has_ended(self._shim_pid):
                return
            if run.is_started:
                return
            if self._shims >= _SHIMS:
                said = run.shim_log.read_text(errors="replace").splitlines()
                raise PodError(
                    f"container {run.container.name}: it could not be started: "
                    f"{said[-1] if said else 'no reason was given'}"
                )
        if run.number and self._shims == 0 and not run.path.exists():
            keep_previous_log(run.folder, run.container)
        self._shims += 1
        self._shim_pid = run.start(launcher.launch(run))

    def _prepare_restart(self, ended: Ended, now: float) -> None:
        run = self.run
        delay = restart_delay(run.number, self._restart_delay_s)
        self.run = Run(run.folder, run.attempt, run.container, run.number + 1)
        self.is_running = False
        self._shims = self._shim_pid = 0
        self._restart_at = max(ended.finished, now - delay) + delay
        self._last = ended
        message = f"it ended with {ended.code} and starts again after {delay:g} s"
        self._write(waiting("CrashLoopBackOff", message))

    def _write(self, state: dict[str, object]) -> None:
        write_status(
            self.run.folder,
            self.run.container,
            state,
            last=self._last.to_state() if self._last else None,
            restarts=self.run.number,
        )


def _has_ended(pid: int) -> bool:
    try:
        done, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return done != 0
