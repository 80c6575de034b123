"""A push to a real registry is in the repository seconds later, once."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from facility.errors import FacilityError
from offload.cache.cvmfs.manifest import SignedManifest
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.client import ImageState
from offload.cache.publishing.references import Reference

pytestmark = pytest.mark.engines


def folder(path: Path, **files: bytes) -> Path:
    for name, content in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return path


def contents(repository: Repository, image: str) -> dict[str, bytes]:
    name = image.removeprefix("sha256:")
    top = f"/.flat/{name[:2]}/{name}".encode()
    return {
        path[len(top) + 1 :].decode(): b"".join(
            content_of(n, (repository.public / n.path).read_bytes())
            for n in row.objects()
        )
        for path, row in repository.namespace().walk(top)
        if row.digest or row.chunks
    }


def test_a_push_is_visible_and_a_deletion_too(make_house, made, tmp_path):
    house = make_house()
    house.registry.start()
    house.publisher.start()
    base = folder(tmp_path / "base", **{"lib/a": b"1" * 9000, "lib/b": os.urandom(99)})
    upper = folder(tmp_path / "upper", **{"lib/a": b"2", "lib/.wh.b": b""})
    name = f"{house.host}/group/env:v1"
    with house.client() as client:
        digest = house.copy(made.image(base, upper), "group/env:v1")
        status = client.wait(name, 100)
        assert (status.state, status.image) == (ImageState.PUBLISHED, digest)
        assert status.names == (name,)
        assert contents(house.repository, digest) == {"lib/a": b"2"}
        answer = httpx.get(
            f"{house.publisher.url}/cvmfs/{status.fqrn}/.cvmfspublished",
            trust_env=False,
        )
        signed = SignedManifest.parse(answer.content)
        certificate = house.keys.repository.certificate
        assert signed.verify(certificate, status.fqrn).revision == status.revision
        httpx.delete(
            f"{house.registry.url}/v2/group/env/manifests/{digest}", trust_env=False
        )
        _until(lambda: client.status(name).state is ImageState.GONE)
        assert client.status(digest).is_published
    house.publisher.stop()
    assert "Traceback" not in house.publisher.log


def test_events_that_are_lost_are_found_by_asking(make_house, made, tmp_path):
    house = make_house(has_events=False, poll_s=0.3)
    house.registry.start()
    house.publisher.start()
    name = f"{house.host}/group/env:v1"
    with house.client() as client:
        for content in (b"1", b"2"):
            tree = folder(tmp_path / f"tree{content}", a=content)
            digest = house.copy(made.image(tree), "group/env:v1")
            _until(lambda wanted=digest: client.status(name).image == wanted)


def test_the_registry_may_be_away_for_a_while(make_house, made, tmp_path):
    house = make_house()
    house.registry.start()
    digest = house.copy(made.image(folder(tmp_path / "tree", a=b"1")), "group/env:v1")
    house.registry.kill()
    house.publisher.start()
    name = f"{house.host}/group/env:v1"
    with house.client() as client:
        client.look(name)
        _until(lambda: "cannot be reached" in client.status(name).detail)
        house.registry.start()
        assert client.wait(name, 100).image == digest


class Reader(threading.Thread):
    """Asks for the newest revision all the time; every one it sees must be whole."""

    def __init__(self, house) -> None:
        super().__init__()
        self.house = house
        self.revisions: list[int] = []
        self.problems: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        public = self.house.settings.folder / "public"
        certificate = self.house.keys.repository.certificate
        while not self.stopping.is_set():
            try:
                data = (public / ".cvmfspublished").read_bytes()
                manifest = SignedManifest.parse(data).verify(
                    certificate, self.house.settings.fqrn
                )
                if not self.revisions or self.revisions[-1] != manifest.revision:
                    self._check(public, manifest)
                    self.revisions.append(manifest.revision)
            except (FacilityError, OSError) as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                return
            time.sleep(0.005)

    def _check(self, public: Path, manifest) -> None:
        space = self.house.repository.namespace(manifest.catalogue)
        names: list[ObjectName] = [manifest.history, manifest.certificate]
        for _, row in space.walk(b""):
            names += row.objects()
        for name in names:
            content_of(name, (public / name.path).read_bytes())


def test_killed_in_the_middle_it_is_published_once_and_always_valid(
    make_house, made, tmp_path
):
    _kill_in_the_middle(make_house(), made, tmp_path, [0.0, 0.2, 0.4])


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_same_for_a_hundred_moments(make_house, made, tmp_path):
    moments = [0.01 * number for number in range(100)]
    _kill_in_the_middle(make_house(), made, tmp_path, moments)


def _kill_in_the_middle(house, made, tmp_path, moments) -> None:
    house.registry.start()
    reader = Reader(house)
    reader.start()
    pushed = {}
    try:
        for number, moment in enumerate(moments):
            tree = tmp_path / f"tree{number}"
            files = {f"lib/{n}": os.urandom(60_000) for n in range(40)}
            files["big"] = os.urandom(9_000_000)
            digest = house.copy(
                made.image(folder(tree, **files)), f"group/env:v{number}"
            )
            pushed[f"{house.host}/group/env:v{number}"] = (digest, files)
            house.publisher.start()
            with house.client() as client:
                for _ in range(10):  # registries repeat themselves
                    client.look(f"{house.host}/group/env:v{number}")
            time.sleep(moment)
            house.publisher.kill()
        house.publisher.start()
        with house.client() as client:
            for name, (digest, files) in pushed.items():
                status = client.wait(name, 100)
                assert (status.state, status.image) == (ImageState.PUBLISHED, digest)
                assert contents(house.repository, digest) == files
    finally:
        reader.stopping.set()
        reader.join()
    assert reader.problems == []
    assert reader.revisions == sorted(set(reader.revisions))
    # Each image made one revision, and the first was empty.
    assert house.repository.head().revision == 1 + len(pushed)
    house.publisher.stop()
    assert not list((house.settings.state / "blobs/blobs/sha256").iterdir())


def test_ten_at_once_and_in_any_order_are_published_once(make_house, made, tmp_path):
    house = make_house()
    house.registry.start()
    house.publisher.start()
    first = house.copy(made.image(folder(tmp_path / "one", a=b"1")), "group/env:latest")
    name = f"{house.host}/group/env:latest"
    with house.client() as client:
        assert client.wait(name, 100).image == first
        revision = client.status(name).revision
        event = {
            "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "repository": "group/env",
                "tag": "latest",
                "digest": first,
            },
        }
        late = [event] * 10
        second = house.copy(
            made.image(folder(tmp_path / "two", a=b"2")), "group/env:latest"
        )
        answer = httpx.post(
            f"{house.publisher.url}/events",
            json={"events": late},
            headers={"Authorization": "Bearer what registries know"},
            trust_env=False,
        )
        assert answer.status_code == 202
        _until(lambda: client.status(name).image == second)
        time.sleep(0.3)
        status = client.status(name)
    assert (status.image, status.revision) == (second, revision + 1)
    meaning = house.repository.namespace().lookup(b"/" + Reference.parse(name).link)
    assert meaning.target.endswith(second.removeprefix("sha256:").encode())


def test_images_of_another_tool_are_read(make_house, tmp_path):
    """An image as buildah makes it, of the system's own files."""
    import shutil
    import subprocess

    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    house = make_house()
    house.registry.start()
    house.publisher.start()
    storage = ["--root", tmp_path / "root", "--runroot", tmp_path / "run"]
    storage += ["--storage-driver", "vfs"]

    def run(*arguments: object) -> str:
        done = subprocess.run(
            ["buildah", *storage, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    container = run("from", "scratch")
    run("add", container, "/etc/ssl", "/etc/ssl")
    image = run("commit", "--format", "docker", container)
    run("push", "--tls-verify=false", image, f"docker://{house.host}/group/env:b")
    run("rm", container)
    with house.client() as client:
        status = client.wait(f"{house.host}/group/env:b", 100)
    assert status.state is ImageState.PUBLISHED, status.detail
    found = contents(house.repository, status.image)
    openssl = Path("/etc/ssl/openssl.cnf")
    if openssl.exists():
        assert found["etc/ssl/openssl.cnf"] == openssl.read_bytes()
    run("rmi", image)


def _until(condition, timeout_s: float = 100.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, datetime.now(UTC)
        time.sleep(0.05)
