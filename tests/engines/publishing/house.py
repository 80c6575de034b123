"""A real registry that tells a real publisher of pushes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import yaml

from facility.local.ports import choose_ports
from facility.runtime import Ports
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.client import PublisherClient
from offload.cache.publishing.settings import PublisherSettings, RegistrySettings
from offload.cache.publishing.tokens import token_of

FQRN = "images.example.org"
SECRET = "what registries know"
TOOLS = ("docker-registry", "skopeo")


def free_ports() -> Ports:
    """Return ports that the kernel gives nobody else while who listens is restarted."""
    return choose_ports(uuid4().hex, "127.0.0.1", 0, None)


@dataclass
class Process:
    """Something that answers HTTP, and may be killed."""

    folder: Path
    port: int
    command: list[str | Path]
    path: str
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        until = time.monotonic() + 100
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url + self.path, trust_env=False)
                return
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"does not answer: {self.log}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=100)
            self.process = None


@dataclass
class House:
    """Registry, publisher, and the repository between them and everybody."""

    folder: Path
    registry: Process
    publisher: Process
    settings: PublisherSettings
    keys: Keys

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.registry.port}"

    @property
    def repository(self) -> Repository:
        return Repository(self.settings.folder, FQRN, self.keys).open()

    def client(self, person: str = "root") -> PublisherClient:
        return PublisherClient(self.publisher.url, token_of(person, "of tokens"))

    def copy(self, source: str, name: str) -> str:
        """Push by another tool than ours; return the image's digest."""
        digest = self.folder / "digest"
        subprocess.run(
            [
                *("skopeo", "copy", "--quiet", "--dest-tls-verify=false"),
                *("--digestfile", digest, source, f"docker://{self.host}/{name}"),
            ],
            check=True,
            capture_output=True,
        )
        return digest.read_text().strip()


@contextlib.contextmanager
def houses(folder: Path) -> Iterator[Callable[..., House]]:
    """Yield what makes a house in a folder; its processes are killed at the end."""
    started: list[Process] = []

    def make(*, has_events: bool = True, **changes: object) -> House:
        free = free_ports()
        ports = free.hub, free.hub_api
        registry = folder / "registry"
        registry.mkdir()
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(registry / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{ports[0]}", "secret": "of this test"},
        }
        if has_events:
            config["notifications"] = {
                "endpoints": [
                    {
                        "name": "publisher",
                        "url": f"http://127.0.0.1:{ports[1]}/events",
                        "headers": {"Authorization": [f"Bearer {SECRET}"]},
                        "timeout": "1s",
                        "threshold": 3,
                        "backoff": "200ms",
                        "ignoredmediatypes": ["application/octet-stream"],
                    }
                ]
            }
        (registry / "config.yml").write_text(yaml.safe_dump(config))
        publisher = folder / "publisher"
        publisher.mkdir()
        (publisher / "secret").write_text(SECRET)
        (publisher / "token-key").write_text("of tokens")
        keys = Keys.generate(FQRN, datetime.now(UTC))
        keys.save(publisher / "keys", FQRN)
        Repository(publisher / "repository", FQRN, keys).create()
        settings = PublisherSettings(
            fqrn=FQRN,
            port=ports[1],
            folder=publisher / "repository",
            keys=publisher / "keys",
            state=publisher / "state",
            event_secret=publisher / "secret",
            token_key=publisher / "token-key",
            admins=("root",),
            registries=(RegistrySettings(url=f"http://127.0.0.1:{ports[0]}"),),
            wishes=(f"127.0.0.1:{ports[0]}/group/env:*",),
            poll_s=3600,
        ).model_copy(update=changes)
        settings.save(publisher / "settings.json")
        house = House(
            folder,
            Process(
                registry,
                ports[0],
                ["docker-registry", "serve", registry / "config.yml"],
                "/v2/",
            ),
            Process(
                publisher,
                ports[1],
                [
                    sys.executable,
                    "-m",
                    "offload.cache.publishing",
                    publisher / "settings.json",
                ],
                "/health",
            ),
            settings,
            keys,
        )
        started.extend((house.registry, house.publisher))
        return house

    try:
        yield make
    finally:
        for process in started:
            process.kill()
