"""From a container of the pod to what is executed on this machine for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.plugins.node import downward, variables
from offload.plugins.node.expansion import expand
from offload.plugins.node.folder import PodError, PodFolder
from offload.plugins.node.layout import Layout, mount_points, plan_layout
from offload.plugins.node.parallel import across_tasks
from offload.plugins.node.pod import Container, Pod
from offload.plugins.node.runs import Run
from offload.plugins.node.runtimes import Launch, Runtime
from offload.plugins.node.runtimes.launch import Process
from offload.plugins.node.volumes import Volumes

CREDENTIALS = "/run/credentials"


@dataclass(frozen=True, slots=True)
class Launcher:
    """Everything that the containers of a pod have in common."""

    pod: Pod
    folder: PodFolder
    node: downward.Node
    runtime: Runtime
    volumes: Volumes
    scratch: Path
    """Where the pod's temporary folders are on this node."""
    environment: Mapping[str, str]
    """The wrapper's own: what the scheduler says is in it."""

    def layout(self, run: Run) -> Layout:
        """Return what a container sees where.

        Raises:
            PodError: a mount names what is not there.
        """
        env = run.container.env
        home = next((v.get("value", "") for v in env if v["name"] == "HOME"), "")
        return plan_layout(
            run.container,
            self.folder,
            self.volumes,
            home=home,
            scratch=self.scratch,
            termination_log=run.termination_log,
        )

    def launch(self, run: Run) -> Launch:
        """Make the places that a container needs; return what to execute.

        Raises:
            PodError: it cannot run here.
        """
        container, layout = run.container, self.layout(run)
        run.path.mkdir(parents=True, exist_ok=True)
        run.termination_log.touch()
        if self.runtime.name != "none":
            make_mount_points(layout)
        launch = self.runtime.launch(
            container, layout, self._process(container, layout)
        )
        tasks = self.pod.tasks
        if tasks is not None and container in self.pod.main:
            return across_tasks(launch, *tasks, run.path, self.environment)
        for folder in launch.folders:
            Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        return launch

    def _process(self, container: Container, layout: Layout) -> Process:
        said = {
            "PATH": variables.DEFAULT_PATH,
            "HOME": layout.home,
            **variables.of_job(self.pod),
            **variables.of_scheduler(self.environment),
            **variables.of_pod(self.pod, container, self.node),
        }
        if any(place.target == CREDENTIALS for place in layout.places):
            said.setdefault("CREDENTIALS_DIRECTORY", CREDENTIALS)
        words = (*container.command, *container.arguments)
        if not words:
            raise PodError(f"container {container.name}: it has no command")
        argv = tuple(expand(word, said) for word in words)
        return Process(argv, said, container.working_dir or layout.home)


def make_mount_points(layout: Layout) -> None:
    """Make the places that are mounted on, in the pod's own folders."""
    for point, place in mount_points(layout):
        if point.exists():
            continue
        if place.source.is_dir():
            point.mkdir(parents=True)
        else:
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
