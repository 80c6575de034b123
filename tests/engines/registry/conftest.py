"""Debian's docker-registry on loopback, in a folder of its own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from facility.local.ports import choose_ports
from offload.snapshot import LocalStore
from offload.snapshot.registry.client import Patience
from offload.snapshot.registry.transfer import Registry

QUICK = Patience(attempts=4, first_wait_s=0.02, longest_wait_s=0.1)


@dataclass
class RunningRegistry:
    """One registry, which tests may kill and start again with other settings."""

    folder: Path
    port: int
    http: Mapping[str, object] = field(default_factory=dict)
    """More below ``http`` of its configuration, such as ``tls``."""
    scheme: str = "http"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}/group/snapshots"

    def registry(self, **more: object) -> Registry:
        return Registry(self.url, patience=QUICK, **more)

    def start(self, *, readonly: bool = False, **more: object) -> None:
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "maintenance": {"readonly": {"enabled": readonly}},
            },
            # With a secret of its own an upload survives a restart.
            "http": {"addr": self.host, "secret": "of this test", **self.http},
            **more,
        }
        path = self.folder / "config.yml"
        path.write_text(yaml.safe_dump(config))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", path], stdout=log, stderr=log
            )
        self._wait()

    def htpasswd(self) -> dict[str, object]:
        """Return settings that let in one person, with the password "a good one"."""
        path = self.folder / "htpasswd"
        digest = "$2b$05$abcdefghijklmnopqrstuui5P.dy1WctjkW4IAO26vzTr/mQGhhnC"
        path.write_text(f"physicist:{digest}\n")
        return {"htpasswd": {"realm": "tests", "path": str(path)}}

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def requests(self, method: str) -> list[str]:
        """Return the paths that were asked for so far, from the access log."""
        lines = (self.folder / "log").read_text().splitlines()
        return [
            line.split(f'"{method} ')[1].split(" ")[0]
            for line in lines
            if f'"{method} /v2/' in line
        ]

    def _wait(self) -> None:
        until = time.monotonic() + 100
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.scheme}://{self.host}/v2/", verify=False)
                return
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        pytest.fail("the registry does not answer")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry that is not started yet."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    # None that the kernel gives somebody while the registry is restarted.
    port = choose_ports(str(tmp_path), "127.0.0.1", 0, None).hub
    folder = tmp_path / "registry"
    folder.mkdir()
    running = RunningRegistry(folder, port)
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(autouse=True)
def _no_login_of_mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A working folder with names that are not text."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text("print('hello')\n")
    (root / "with space\nand line").write_text("odd\n")
    (root / "caf\udce9\udcff").write_text("no UTF-8\n")
    (root / ("long" * 30)).mkdir()
    (root / ("long" * 30) / ("name" * 30)).write_text("long\n")
    (root / "link").symlink_to("train.py")
    (root / "empty").mkdir()
    return root


class Prefix:
    """A virtual environment with distributions written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", path], check=True
        )
        (self.site,) = path.glob("lib/python*/site-packages")

    def install(self, name: str, version: str, *, size: int) -> None:
        for old in self.site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)
        metadata = self.site / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (metadata / "RECORD").write_text(
            f"{name}.py,,\n{metadata.name}/METADATA,,\n{metadata.name}/RECORD,,\n"
        )
        content = hashlib.shake_256(f"{name} {version}".encode()).hexdigest(size)
        (self.site / f"{name}.py").write_text(f"data = '{content}'\n")


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "venv")
    for number in range(8):
        prefix.install(f"large{number}", "1", size=2**20)
    prefix.install("small", "1", size=1000)
    return prefix


class Authority:
    """Issues certificates; ``certificate`` is what clients have to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        self.certificate = folder / "ca.pem"
        own = self._sign(self._name, self.key.public_key(), is_authority=True)
        self.certificate.write_bytes(own.public_bytes(Encoding.PEM))
        self.own = own

    def issue(self, host: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(name, key.public_key(), host=host)
        paths = self._folder / f"{host}.crt", self._folder / f"{host}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            )
        )
        return paths

    def _sign(self, name, key, *, host=None, is_authority=False):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if host is not None:
            names = x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(host))]
            )
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


class TokenServer:
    """Gives tokens to who has the password; distribution's token specification."""

    def __init__(self, authority: Authority) -> None:
        self.scopes: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                good = base64.b64encode(b"physicist:a good one").decode()
                if self.headers.get("Authorization") != f"Basic {good}":
                    self.send_response(401)
                    self.end_headers()
                    return
                scope = query.get("scope", [""])[0]
                outer.scopes.append(scope)
                token = _token(authority, query["service"][0], scope)
                body = json.dumps({"token": token}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"


def _token(authority: Authority, service: str, scope: str) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    chain = base64.b64encode(authority.own.public_bytes(Encoding.DER)).decode()
    header = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    access = [{"type": kind, "name": name, "actions": actions.split(",")}]
    now = int(time.time())
    claims = {
        "iss": "tests",
        "sub": "physicist",
        "aud": service,
        "exp": now + 300,
        "nbf": now - 10,
        "iat": now,
        "jti": "1",
        "access": access if kind else [],
    }
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    signature = authority.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(signature)
    return f"{signed}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture
def token_server(authority: Authority) -> Iterator[TokenServer]:
    running = TokenServer(authority)
    thread = threading.Thread(target=running.server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield running
    finally:
        running.server.shutdown()
        thread.join()
        running.server.server_close()
