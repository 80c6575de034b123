"""A plugin in a process of its own, and a caller that shares no code with it.

Messages are built by hand from the protocol's tables, and sent with the standard
library's HTTP client over the unix socket.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import yaml

COMMAND = Path(sys.executable).parent / "offload-plugin"
FINAL = {"Succeeded", "Failed"}


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def make_pod(command, *, name="job-1", uid=None, annotations=None, **options):
    """The body of /create: a pod of one container that runs a shell command."""
    limits = {"cpu": "1", "memory": "100Mi", **options.pop("limits", {})}
    container = {
        "name": "main",
        "image": "analysis-facility/host",
        "command": ["/bin/sh", "-c", command],
        "resources": {"limits": limits},
        **options.pop("container", {}),
    }
    spec = {"restartPolicy": "Never", "containers": [container], **options}
    metadata = {
        "name": name,
        "namespace": "people",
        "uid": uid or str(uuid.uuid4()),
        "annotations": annotations or {},
        "creationTimestamp": None,
    }
    return {
        "pod": {"metadata": metadata, "spec": spec, "status": {}},
        "container": [{
            "name": "main", "configMaps": None, "projectedvolumemaps": None,
            "secrets": None, "emptyDirs": None, "persistentVolumeClaims": None,
        }],
    }  # fmt: skip


def flags(text):
    return {"slurm-job.vk.io/flags": text}


def uid_of(data):
    return data["pod"]["metadata"]["uid"]


def phase_of(status):
    """Phase of a pod as interLink computes it."""
    states = [container["state"] for container in status["containers"]]
    ends = [s["terminated"] for s in states if s.get("terminated")]
    if len(ends) == len(states):
        is_failed = any(end.get("exitCode") for end in ends)
        return "Failed" if is_failed else "Succeeded"
    return "Running" if any(s.get("running") for s in states) else "Pending"


class RunningPlugin:
    """See the module. Everything of it is gone after :meth:`close`."""

    def __init__(self, slurm=None, /, **config):
        self.slurm = slurm
        self.folder = Path(tempfile.mkdtemp(prefix="site-"))
        self.work = self.folder / "work"
        self.socket = self.folder / "s"
        self.environment = dict(os.environ) if slurm is None else slurm.environment
        self.config = {
            "site": "test",
            "executor": "process" if slurm is None else "slurm",
            "work": str(self.work),
            "socket": str(self.socket),
            **config,
        }
        if slurm is not None:
            options = {"commands": str(slurm.bin), "tick": 2, **config.get("slurm", {})}
            self.config["slurm"] = options
        self.log = self.folder / "plugin.log"
        self.process = None

    def start(self):
        (self.folder / "site.yaml").write_text(yaml.safe_dump(self.config))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "--config", self.folder / "site.yaml"],
                env=self.environment, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        (self.folder / "pid").write_text(str(self.process.pid))
        self.wait(self._answers, 60, "the plugin answers")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        with contextlib.suppress(OSError):
            return self.ask("GET", "/status", [])[0] == 200

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.kill()
        return self.start()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(OSError, AssertionError):
                for record in self.work.glob("pods/*/pod.json"):
                    self.delete(json.loads(record.read_bytes()))
                self.wait(lambda: not self.running(), 60, "all has ended")
            self.process.terminate()
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    # the protocol, by hand

    def ask(self, method, path, document=None, *, raw=None, headers=None):
        """Return status, headers and content of an answer."""
        connection = _Connection(self.socket)
        try:
            body = raw if document is None else json.dumps(document).encode()
            kind = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(
                method, path, body=body, headers={**kind, **(headers or {})}
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def create(self, *pods):
        document = pods[0] if len(pods) == 1 else list(pods)
        status, _, content = self.ask("POST", "/create", document)
        assert status == 200, content
        return json.loads(content)

    def delete(self, data):
        status, _, content = self.ask("DELETE", "/delete", data["pod"])
        assert status == 200, content

    def statuses(self, *pods):
        status, _, content = self.ask("GET", "/status", [data["pod"] for data in pods])
        assert status == 200, content
        return json.loads(content)

    def status(self, data):
        (status,) = self.statuses(data)
        return status

    def state(self, data):
        """The state of the first container: its kind and what it says."""
        state = self.status(data)["containers"][0]["state"]
        ((kind, content),) = state.items()
        return kind, content

    def logs(self, data, **options):
        body = {
            "Namespace": "people", "PodUID": uid_of(data), "PodName": "job-1",
            "ContainerName": "main",
            "Opts": {"Tail": 0, "Bytes": 0, "Timestamps": False, "Follow": False,
                     "Previous": False, "SinceSeconds": 0,
                     "SinceTime": "0001-01-01T00:00:00Z", **options},
        }  # fmt: skip
        status, _, content = self.ask("GET", "/getLogs", body)
        assert status == 200, content
        return content

    def running(self):
        """Records of pods of which a job may exist."""
        found = []
        for path in self.work.glob("pods/*/record.json"):
            record = json.loads(path.read_bytes())
            if record.get("stage") != "ended":
                found.append(record)
        return found

    def wait(self, condition, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while not (answer := condition()):
            if time.monotonic() > deadline:
                logs = self.log.read_text()[-3000:] if self.log.exists() else ""
                outs = [
                    p.read_text()[-500:] for p in self.work.glob("submissions/*/*.out")
                ]
                raise AssertionError(
                    f"not within {timeout_s} s: {what}\n{logs}{outs[:5]}"
                )
            time.sleep(0.1)
        return answer

    def wait_phase(self, data, phase, timeout_s=60):
        """Wait until a pod has this phase; return its status."""

        def there():
            status = self.status(data)
            return status if phase_of(status) == phase else None

        return self.wait(there, timeout_s, f"{phase}, is {self.status(data)}")

    def wait_end(self, data, timeout_s=60):
        """Wait until a pod has ended; return how its container ended."""

        def end():
            status = self.status(data)
            return phase_of(status) in FINAL and status

        status = self.wait(end, timeout_s, f"an end of {uid_of(data)}")
        return status["containers"][0]["state"]["terminated"]
