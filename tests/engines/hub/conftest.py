"""A real hub behind the real proxy: processes, ports and secrets of its own."""

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from facility.local.ports import choose_ports
from facility.local.secrets import ensure_secrets
from facility.marked import end_marked
from facility.runtime import Runtime
from facility.spec import Facility
from hub_config.tokens import login_url, mint

READY_S = 100.0


@dataclass
class RunningHub:
    """Proxy and hub of one facility, which a test may kill and start again."""

    runtime: Runtime
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str) -> None:
        module = {"hub": "hub_config", "proxy": "facility.local.proxy"}[name]
        environment = os.environ | {
            "FACILITY_RUNTIME": str(self.runtime.run_dir / "facility.json"),
            "FACILITY_ID": self.runtime.id,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with (self.runtime.log_dir / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.runtime.state_dir,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def wait_ready(self) -> None:
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                url = f"{self.runtime.public_url}/hub/api/"
                if httpx.get(url, verify=self.trust()).status_code == httpx.codes.OK:
                    return
            assert self.processes["hub"].poll() is None, self.log("hub")
            time.sleep(0.1)
        raise AssertionError(self.log("hub"))

    def trust(self) -> ssl.SSLContext:
        """Return what a client needs to believe the proxy's certificate."""
        context = ssl.create_default_context(
            cafile=self.runtime.spec.hub.tls_certificate
        )
        context.check_hostname = False
        return context

    def log(self, name: str) -> str:
        return (self.runtime.log_dir / f"{name}.log").read_text()

    def link(self, user: str | None = None, lifetime_s: float = 600) -> str:
        """Return a fresh login link, as ``facility token`` prints it."""
        token = mint(
            self.runtime.secrets_dir,
            user or self.runtime.owner,
            now=time.time(),
            lifetime_s=lifetime_s,
        )
        return login_url(self.runtime, token)

    def servers(self) -> list[psutil.Process]:
        """Return the processes that are notebook servers of this facility."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                mine = process.environ().get("FACILITY_ID") == self.runtime.id
                if mine and "hub_config.singleuser" in process.cmdline():
                    found[process] = process.ppid()
        # What a server starts looks like it for an instant.
        pids = {process.pid for process in found}
        return [process for process, parent in found.items() if parent not in pids]


@contextlib.contextmanager
def running_hub(root: Path, **keys: object) -> Iterator[RunningHub]:
    """Run a hub and end everything that it started."""
    state, run = root / "state", root / "run"
    for folder in (state / "log", run):
        folder.mkdir(parents=True, mode=0o700)
    ensure_secrets(state / "secrets")
    id_ = f"test-{uuid.uuid4().hex[:12]}"
    runtime = Runtime(
        id=id_,
        directory=root,
        state_dir=state,
        run_dir=run,
        owner=getpass.getuser(),
        multi_user=os.getuid() == 0,
        # Not such as the kernel gives away while a process restarts.
        ports=choose_ports(id_, "127.0.0.1", 0, None),
        spec=Facility.model_validate(keys),
    )
    runtime.save()
    hub = RunningHub(runtime)
    try:
        hub.start("proxy")
        hub.start("hub")
        hub.wait_ready()
        yield hub
    finally:
        assert asyncio.run(end_marked(runtime.id)) == []
        for process in hub.processes.values():
            process.wait()


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def start_hub(tmp_path_factory):
    """Return a function that runs a hub with keys of ``facility.yaml``."""
    with contextlib.ExitStack() as stack:
        yield lambda **keys: stack.enter_context(
            running_hub(tmp_path_factory.mktemp("hub"), **keys)
        )


@pytest.fixture
def folder() -> Iterator[str]:
    """Name a folder below the server's root, the home, and remove it afterwards."""
    name = f"facility-test-{uuid.uuid4().hex[:8]}"
    yield name
    shutil.rmtree(Path.home() / name, ignore_errors=True)


def code(*sources: str) -> dict:
    """Return a notebook of these code cells."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "id": f"cell-{index}",
                "cell_type": "code",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(sources)
        ],
    }


@pytest.fixture
def notebook():
    return code


@pytest.fixture
def printed():
    """Return a function that gives the text that a cell printed."""

    def text(executed, cell: int) -> str:
        outputs = executed.document["cells"][cell]["outputs"]
        return "".join(o["text"] for o in outputs if o["output_type"] == "stream")

    return text
