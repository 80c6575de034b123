"""A pod from its claim to the end of its last container.

Level-triggered: each step looks at the files and does what they lack, so the wrapper
that comes after a killed one needs no other way in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from offload.plugins.node import downward, scratch
from offload.plugins.node.claim import Claim, read_claim
from offload.plugins.node.events import Events
from offload.plugins.node.folder import NodeError, PodError, PodFolder, read_json
from offload.plugins.node.launching import Launcher
from offload.plugins.node.layout import save_working_folder
from offload.plugins.node.packing import preload
from offload.plugins.node.pod import Container, Pod
from offload.plugins.node.progress import LOOK_S, START_S, Progress
from offload.plugins.node.published import Published
from offload.plugins.node.runs import current_run, keep_previous_log
from offload.plugins.node.runtimes import choose
from offload.plugins.node.settings import NodeSettings
from offload.plugins.node.status import Ended, waiting, write_status
from offload.plugins.node.stopping import Situation, Stop, grace, why_stop
from offload.plugins.node.volumes import ensure_volumes


class SupersededError(NodeError):
    """Another attempt of the same job has the pod: this one ends without a trace."""


class Lifecycle:
    """Runs the containers of a pod that was claimed."""

    def __init__(
        self, folder: PodFolder, pod: Pod, claim: Claim, settings: NodeSettings
    ) -> None:
        self._folder = folder
        self._pod = pod
        self._claim = claim
        self._settings = settings
        self._events = Events()
        self._environment = dict(os.environ)
        self._node = downward.Node.this(self._environment)
        end = self._environment.get("SLURM_JOB_END_TIME", "")
        self._allocation_end = float(end) if end.isdigit() else None
        self.stop: Stop | None = None
        self.ended: dict[str, Ended] = {}
        self.runtime_name = ""
        self._kill_at: float | None = None
        self._is_preloaded = False
        self._published: Published | None = None

    def run(self) -> None:
        """Bring every container to its end, or to the pod's.

        Raises:
            PodError: the pod cannot run here.
            SupersededError: it is another attempt's by now.
            UnwantedError: it is to end before anything of it ran.
        """
        self._begin_attempt()
        launcher = self._launcher()
        for container in self._pod.init:
            ended = self._drive([container], launcher, is_init=True)
            if self.stop is not None or ended[container.name].code != 0:
                return
        self._drive(self._pod.main, launcher, is_init=False)

    def _launcher(self) -> Launcher:
        """Put the pod's files in place."""
        runtime = choose(self._settings.runtime, self._settings.binds)
        self.runtime_name = runtime.name
        try:
            scratch.make_own(self._scratch)
            if self._settings.reading is not None:
                self._published = Published(
                    self._folder.path.name,
                    os.uname().nodename,
                    self._folder.work,
                    self._settings.reading,
                    self._scratch,
                    runtime=runtime.name,
                    is_lazy=self._pod.tasks is None,
                    is_wanted=self._is_wanted,
                )
            volumes = ensure_volumes(
                self._pod,
                self._folder,
                self._node,
                self._settings.repository,
                self._published,
            )
            (self._folder.path / "home").mkdir(exist_ok=True)
        except OSError as error:
            raise PodError(f"its volumes could not be put in place: {error}") from None
        return Launcher(
            self._pod,
            self._folder,
            self._node,
            runtime,
            volumes,
            self._scratch,
            self._environment,
        )

    def abort(self) -> None:
        """End what runs of a pod that cannot run as a whole, and note how it ended."""
        for container in self._pod.containers:
            run = current_run(self._folder, self._claim.attempt, container)
            if container.name in self.ended or run.forbid(time.time()):
                continue
            run.kill()
            while (ended := run.ended(time.time(), None)) is None:
                watcher = run.shim()
                self._events.wait(LOOK_S, [] if watcher is None else [watcher])
            self.ended[container.name] = ended
            write_status(self._folder, container, ended.to_state())

    def clean_up(self) -> None:
        """Remove what nobody needs after the end."""
        if self._published is not None:
            self._published.close()
            if self._published.problem and self.stop is None:
                self._explain(self._published.problem)
        if self._published is None or not self._published.shown:
            scratch.remove(self._scratch)
        scratch.remove_leftovers(self._scratch, self._folder)
        for container in self._pod.containers:
            for path in self._folder.run(self._claim.attempt).glob(
                f"{container.name}.*/task.json"
            ):
                path.unlink()  # it holds the values of secrets

    def _explain(self, problem: str) -> None:
        """Say of containers that failed what they cannot have known themselves."""
        for container in self._pod.containers:
            ended = self.ended.get(container.name)
            if ended is None or ended.code == 0:
                continue
            said = f"{problem}\n{ended.message}".strip()
            ended = self.ended[container.name] = replace(ended, message=said)
            match read_json(self._folder.status / f"{container.name}.json"):
                case {"lastState": dict(last), "restartCount": int(restarts)}:
                    write_status(
                        self._folder,
                        container,
                        ended.to_state(),
                        last=last,
                        restarts=restarts,
                    )

    def remove_links(self) -> None:
        """Remove trees of links, for whose end nobody is to wait: they are many."""
        if self._published is not None:
            with suppress(OSError):  # another pod removes them too, now or later
                scratch.remove(self._scratch)

    @property
    def _scratch(self) -> Path:
        return self._settings.scratch_folder(self._folder, self._environment)

    def _begin_attempt(self) -> None:
        place = self._folder.run(self._claim.attempt)
        if place.exists():
            return
        message = "its files are being put in place"
        for container in self._pod.containers:
            keep_previous_log(self._folder, container)
            is_main = container in self._pod.main and self._pod.init
            write_status(
                self._folder,
                container,
                waiting("PodInitializing", "it waits for init containers")
                if is_main
                else waiting("ContainerCreating", message),
            )
        # What an attempt before this one had packed is not the end of the pod.
        for name in ("status/done.json", "outputs.tar.zst", "changes.json"):
            (self._folder.path / name).unlink(missing_ok=True)
        place.mkdir(parents=True)

    def _drive(
        self,
        containers: Sequence[Container],
        launcher: Launcher,
        *,
        is_init: bool,
    ) -> Mapping[str, Ended]:
        """Run containers at the same time until all have ended for good."""
        attempt = self._claim.attempt
        active = [
            Progress(
                current_run(self._folder, attempt, container),
                self._pod.restart_policy,
                self._settings.restart_delay_s,
                is_init=is_init,
            )
            for container in containers
        ]
        layouts = [launcher.layout(progress.run) for progress in active]
        working = launcher.volumes.private.get(self._pod.working_folder)
        if working is not None and not is_init:
            save_working_folder(self._folder, working, layouts)
        while active:
            self._check_claim()
            self._decide_stop(active)
            for progress in tuple(active):
                ended = progress.advance(launcher, self.stop)
                if ended is not None:
                    self.ended[progress.run.container.name] = ended
                    active.remove(progress)
            if active:
                self._wait(active)
                self._use_the_time(active, is_init=is_init)
        return self.ended

    def _use_the_time(self, active: Sequence[Progress], *, is_init: bool) -> None:
        is_idle = not is_init and all(progress.is_running for progress in active)
        if is_idle and not self._is_preloaded and self._pod.working_folder:
            self._is_preloaded = True
            preload()
            if self._published is not None:
                self._published.look_at_node()

    def _check_claim(self) -> None:
        current = read_claim(self._folder)
        if current is not None and not current.is_same(self._claim):
            for container in self._pod.containers:
                run = current_run(self._folder, self._claim.attempt, container)
                if run.is_started:
                    run.kill()
            raise SupersededError(
                f"pod {self._folder.path.name}: {current.allocation}, attempt "
                f"{current.attempt}, has it now"
            )

    def _is_wanted(self) -> bool:
        self._check_claim()
        self._decide_stop(())
        return self.stop is None

    def _decide_stop(self, active: Sequence[Progress]) -> None:
        now = time.time()
        if self.stop is None:
            number = self._events.stop_signal
            self.stop = why_stop(
                Situation(
                    now=now,
                    began=self._claim.began,
                    deadline_s=self._pod.deadline_s,
                    is_cancelled=self._folder.cancelled.exists(),
                    signal_name=None if number is None else number.name,
                    allocation_end=self._allocation_end,
                )
            )
            if self.stop is None:
                return
            self._kill_at = now + grace(
                self._pod.grace_s,
                now=now,
                allocation_end=self._allocation_end,
                kill_wait_s=self._settings.kill_wait_s,
            )
            for progress in active:
                progress.run.ask_to_end()
        elif self._kill_at is not None and now >= self._kill_at:
            for progress in active:
                progress.run.kill()

    def _wait(self, active: Sequence[Progress]) -> None:
        now = time.time()
        shims = [progress.run.shim() for progress in active]
        timeout = min(progress.pause_s(now) for progress in active)
        if self._pod.deadline_s is not None and self.stop is None:
            timeout = min(timeout, self._claim.began + self._pod.deadline_s - now)
        if self._kill_at is not None:
            timeout = min(timeout, max(START_S, self._kill_at - now))
        self._events.wait(timeout, [shim for shim in shims if shim is not None])
