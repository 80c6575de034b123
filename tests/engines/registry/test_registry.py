"""Snapshots in a real registry, read back by other tools."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from offload.snapshot import DamagedError, LocalStore, MissingError, Request
from offload.snapshot.freezing import freeze
from offload.snapshot.images.image import blobs
from offload.snapshot.images.manifests import manifest
from offload.snapshot.registry.errors import (
    RegistryAwayError,
    RegistryMissingError,
    RegistryRefusedError,
)
from offload.snapshot.registry.transfer import Transfer, pull, push

pytestmark = pytest.mark.engines


def test_what_was_pushed_is_pulled_again_byte_by_byte(
    running, store, project, tmp_path
):
    running.start()
    snapshot = freeze(Request(project), store)
    seen: list[tuple[int, int]] = []
    moved = push(
        store, snapshot.image, running.registry(), progress=lambda *p: seen.append(p)
    )
    assert {blob.digest for blob in moved.sent} == {
        blob.digest for blob in blobs(snapshot, store)[1:]
    }
    assert seen[-1] == (moved.size, moved.size)
    other = LocalStore(tmp_path / "other")
    assert pull(other, snapshot.image, running.registry()) == snapshot
    assert manifest(snapshot, other, "code") == manifest(snapshot, store, "code")
    assert set(other.digests()) == {blob.digest for blob in blobs(snapshot, store)}


def test_nothing_moves_twice(running, store, project):
    running.start()
    snapshot = freeze(Request(project), store)
    push(store, snapshot.image, running.registry())
    uploads = len(running.requests("POST"))
    assert push(store, snapshot.image, running.registry()) == Transfer(())
    assert len(running.requests("POST")) == uploads


def test_only_the_changed_distribution_moves(running, store, project, prefix):
    running.start()
    first = freeze(Request(project, prefix=prefix.path), store)
    everything = push(store, first.image, running.registry())
    prefix.install("small", "2", size=1000)
    second = freeze(Request(project, prefix=prefix.path), store)
    moved = push(store, second.image, running.registry())
    # The layer of one distribution, the manifests and the configuration.
    assert len(moved.sent) <= 4
    assert moved.size < everything.size / 20


@pytest.mark.parametrize("tool", ["skopeo", "buildah"])
def test_other_tools_accept_the_image(tool, running, store, project, tmp_path):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    running.start()
    snapshot = freeze(Request(project), store)
    push(store, snapshot.image, running.registry())
    reference = f"docker://{running.host}/group/snapshots@{snapshot.image}"
    if tool == "skopeo":
        seen = json.loads(_run("skopeo", "inspect", "--tls-verify=false", reference))
        assert seen["Digest"] == snapshot.image
        assert seen["Os"] == "linux"
        layers = {layer for part in snapshot.parts for layer in part.layers}
        assert layers <= set(seen["Layers"])
        return
    storage = ["--root", tmp_path / "root", "--runroot", tmp_path / "run"]
    storage += ["--storage-driver", "vfs"]
    image = _run("buildah", *storage, "pull", "--tls-verify=false", reference).strip()
    container = _run("buildah", *storage, "from", image).strip()
    mounted = Path(_run("buildah", *storage, "mount", container).strip())
    try:
        there = mounted / "code"
        assert (there / "train.py").read_text() == "print('hello')\n"
        assert (there / "link").readlink() == Path("train.py")
        assert set(os.listdir(bytes(there))) == set(os.listdir(bytes(project)))
    finally:
        _run("buildah", *storage, "rm", container)
        _run("buildah", *storage, "rmi", image)


def test_a_push_goes_on_after_the_registry_was_killed(running, store, project):
    running.start()
    (project / "big.bin").write_bytes(os.urandom(60 * 2**20))
    snapshot = freeze(Request(project), store)
    killed = threading.Event()

    def kill_in_the_middle(done: int, total: int) -> None:
        if done > total / 3 and not killed.is_set():
            killed.set()
            running.kill()

    with pytest.raises(RegistryAwayError, match="cannot be reached"):
        push(store, snapshot.image, running.registry(), progress=kill_in_the_middle)
    assert killed.is_set()
    running.start()
    before = len(running.requests("PATCH"))
    push(store, snapshot.image, running.registry())
    chunks = len(running.requests("PATCH")) - before
    # 60 MiB are 8 chunks; those that had arrived stay.
    assert chunks <= 6 + len(snapshot.parts[0].layers)
    seen = httpx.head(
        f"http://{running.host}/v2/group/snapshots/manifests/{snapshot.image}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
    )
    assert seen.status_code == 200


def test_a_registry_that_comes_back_is_waited_for(running, store, project):
    snapshot = freeze(Request(project), store)
    waits: list[float] = []
    registry = running.registry()
    with registry.client() as client:

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                running.start()

        client._sleep = sleep
        answer = client.patiently(
            lambda: client.request(
                "GET", f"http://{running.host}/v2/", expect=frozenset({200})
            )
        )
    assert answer.status_code == 200
    assert len(waits) == 2
    assert waits[1] > waits[0]
    assert push(store, snapshot.image, registry).sent


def test_a_read_only_registry_refuses_and_says_so(running, store, project):
    running.start(readonly=True)
    snapshot = freeze(Request(project), store)
    with pytest.raises(RegistryRefusedError, match="read-only"):
        push(store, snapshot.image, running.registry())
    running.kill()
    running.start()
    assert push(store, snapshot.image, running.registry()).sent


def test_a_registry_with_passwords(running, store, project, tmp_path):
    running.start(auth=running.htpasswd())
    snapshot = freeze(Request(project), store)
    with pytest.raises(RegistryRefusedError, match="log in"):
        push(store, snapshot.image, running.registry())
    credentials = tmp_path / "credentials"
    credentials.write_text("physicist:a bad one\n")
    credentials.chmod(0o600)
    with pytest.raises(RegistryRefusedError, match="log in") as refused:
        push(store, snapshot.image, running.registry(credentials=credentials))
    assert "bad one" not in str(refused.value)
    credentials.write_text("physicist:a good one\n")
    assert push(store, snapshot.image, running.registry(credentials=credentials)).sent


def test_where_docker_login_left_it_is_found(running, store, project, monkeypatch):
    running.start(auth=running.htpasswd())
    snapshot = freeze(Request(project), store)
    folder = running.folder
    pair = base64.b64encode(b"physicist:a good one").decode()
    config = {"auths": {running.host: {"auth": pair}}}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    assert push(store, snapshot.image, running.registry()).sent


def test_tokens_of_a_token_server_over_tls_with_a_ca_of_ones_own(
    running, authority, token_server, store, project, tmp_path
):
    certificate, key = authority.issue("127.0.0.1")
    running.scheme = "https"
    running.http = {"tls": {"certificate": str(certificate), "key": str(key)}}
    running.start(
        auth={
            "token": {
                "realm": token_server.url,
                "service": "snapshots",
                "issuer": "tests",
                "rootcertbundle": str(authority.certificate),
            }
        }
    )
    snapshot = freeze(Request(project), store)
    credentials = tmp_path / "credentials"
    credentials.write_text("physicist:a good one\n")
    credentials.chmod(0o600)
    with pytest.raises(RegistryRefusedError, match="not trusted"):
        push(store, snapshot.image, running.registry(credentials=credentials))
    registry = running.registry(credentials=credentials, ca=authority.certificate)
    assert push(store, snapshot.image, registry).sent
    asked = {
        frozenset(scope.split(":")[-1].split(",")) for scope in token_server.scopes
    }
    assert asked == {frozenset({"pull"}), frozenset({"pull", "push"})}
    assert pull(LocalStore(tmp_path / "other"), snapshot.image, registry) == snapshot
    credentials.write_text("physicist:a bad one\n")
    with pytest.raises(RegistryRefusedError, match="no token"):
        push(store, snapshot.image, registry)


def test_what_is_not_there_is_said(running, store, project):
    running.start()
    nothing = f"sha256:{'0' * 64}"
    with pytest.raises(RegistryMissingError):
        pull(store, nothing, running.registry())
    with pytest.raises(MissingError):
        push(store, nothing, running.registry())


def test_bytes_that_were_changed_in_the_registry_are_noticed(
    running, store, project, tmp_path
):
    running.start()
    snapshot = freeze(Request(project), store)
    push(store, snapshot.image, running.registry())
    layer = snapshot.parts[0].layers[0].partition(":")[2]
    (data,) = (running.folder / "data").rglob(f"sha256/{layer[:2]}/{layer}/data")
    changed = bytearray(data.read_bytes())
    changed[len(changed) // 2] ^= 1
    data.write_bytes(changed)
    other = LocalStore(tmp_path / "other")
    with pytest.raises(DamagedError):
        pull(other, snapshot.image, running.registry())
    assert other.images() == ()
    assert not other.has(f"sha256:{layer}")


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
