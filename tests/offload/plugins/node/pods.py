"""Pods of shell scripts, and wrappers that run them in folders of a work area."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from offload.plugins.node.folder import PodFolder

HOME = "/home/somebody"


class PodAtHand:
    """One pod's folder, the wrappers started for it, and what they left."""

    def __init__(self, path: Path) -> None:
        self.folder = PodFolder(path)
        self.started: list[subprocess.Popen] = []

    def start(self, *options: str, user: str | None = None, **environment: str):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        wrapper = subprocess.Popen(
            [sys.executable, "-m", "offload.plugins.node", *options, self.folder.path],
            env={**clean, **environment},
            stderr=subprocess.PIPE,
            text=True,
            user=user,
        )
        self.started.append(wrapper)
        return wrapper

    def run(self, *options: str, user: str | None = None, **environment: str) -> int:
        wrapper = self.start(*options, user=user, **environment)
        _, self.stderr = wrapper.communicate(timeout=60)
        return wrapper.returncode

    def log(self, container: str = "main", kind: str = "log") -> str:
        return (self.folder.logs / f"{container}.{kind}").read_text()

    def status(self, container: str = "main") -> dict:
        return json.loads((self.folder.status / f"{container}.json").read_text())

    @property
    def done(self) -> dict:
        return json.loads(self.folder.done.read_text())

    def ended(self, container: str = "main") -> dict:
        for status in [*self.done["init_containers"], *self.done["containers"]]:
            if status["name"] == container:
                return status["state"]["terminated"]
        raise AssertionError(f"no container {container}")

    def wait_for_log(self, text: str, container: str = "main") -> None:
        path = self.folder.logs / f"{container}.log"
        self.wait(lambda: path.exists() and text in path.read_text(), text)

    def wait(self, condition, what: str = "it") -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"never saw {what}"
            time.sleep(0.01)

    def close(self) -> None:
        for wrapper in self.started:
            if wrapper.poll() is None:
                wrapper.send_signal(signal.SIGKILL)
            wrapper.communicate(timeout=60)
        for started in self.folder.path.glob("run/*/*/started"):
            pid = json.loads(started.read_text())["shim"]["pid"]
            command = Path(f"/proc/{pid}/cmdline")
            with contextlib.suppress(OSError):  # it may be ending
                if str(self.folder.path) in command.read_text():
                    os.kill(pid, signal.SIGUSR2)


def make_pod(
    script: str = "true",
    *,
    init: dict[str, str] | None = None,
    others: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    volumes: list[dict] | None = None,
    mounts: list[dict] | None = None,
    env: list[dict] | None = None,
    came_with: dict | None = None,
    main: dict | None = None,
    **spec,
) -> dict:
    """Return a pod as interLink sends it, of shell scripts by container."""

    def container(name: str, text: str) -> dict:
        return {
            "name": name,
            "image": "analysis-facility/host",
            "command": ["sh", "-c", text],
            "env": [{"name": "HOME", "value": HOME}, *(env or [])],
            "volumeMounts": mounts or [],
        }

    pod = {
        "metadata": {
            "name": "job-42",
            "namespace": "somebody",
            "uid": "b9f2",
            "labels": {"app": "fit"},
            "annotations": {"analysis-facility/job": "42", **(annotations or {})},
        },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [container(n, t) for n, t in (init or {}).items()],
            "containers": [
                {**container("main", script), **(main or {})},
                *(container(n, t) for n, t in (others or {}).items()),
            ],
            "volumes": volumes or [],
            **spec,
        },
    }
    return {"pod": pod, "container": [{"name": "main", **(came_with or {})}]}
