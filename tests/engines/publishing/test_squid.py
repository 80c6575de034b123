"""What the publisher serves, as a site's squid keeps it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import httpx
import pytest

from offload.cache.cvmfs.catalogue import Catalogue
from offload.cache.cvmfs.manifest import SignedManifest
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.objects import content_of
from offload.cache.publishing.references import flat_path

pytestmark = pytest.mark.engines

SQUID = shutil.which("squid", path="/usr/sbin:/usr/bin:/sbin:/bin")


@pytest.fixture
def squid(tmp_path, make_process):
    if SQUID is None:
        pytest.skip("squid is not installed")
    folder = tmp_path / "squid"
    folder.mkdir()
    user = ""
    if os.geteuid() == 0:  # squid gives its rights up
        user = "cache_effective_user proxy"
        shutil.chown(folder, "proxy")
        for parent in folder.parents:
            if parent.owner() == "root" and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o001)
    process = make_process(folder, [], "/")
    # By its name it has shared memory of its own.
    name = f"s{process.port}"
    process.command = [SQUID, "-N", "-n", name, "-f", folder / "squid.conf"]
    (folder / "squid.conf").write_text(
        f"http_port 127.0.0.1:{process.port}\n"
        "http_access allow all\n"
        "cache_mem 64 MB\n"
        "maximum_object_size_in_memory 64 MB\n"
        "refresh_pattern \\.cvmfs 0 0% 0\n"
        "refresh_pattern . 1440 100% 10080\n"
        f"access_log stdio:{folder}/access\n"
        f"cache_log {folder}/cache.log\n"
        f"pid_filename {folder}/pid\n"
        f"coredump_dir {folder}\n"
        "netdb_filename none\n"
        "pinger_enable off\n"
        "visible_hostname localhost\n"
        "shutdown_lifetime 0 seconds\n"
        f"{user}\n"
    )
    process.start()
    return process


class Site:
    """Reads the repository through a proxy, and verifies it."""

    def __init__(self, house, proxy: str) -> None:
        self.house = house
        self.url = f"{house.publisher.url}/cvmfs/{house.settings.fqrn}"
        self.client = httpx.Client(proxy=proxy, trust_env=False, timeout=30)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(f"{self.url}/{path}", headers=headers)

    def head(self):
        certificate = self.house.keys.repository.certificate
        signed = SignedManifest.parse(self.get(".cvmfspublished").content)
        return signed.verify(certificate, self.house.settings.fqrn)

    def sees(self, image: str) -> bool:
        space = Namespace(self.head().catalogue, self._catalogue)
        return space.lookup(b"/" + flat_path(image)) is not None

    def _catalogue(self, name):
        return Catalogue.of(content_of(name, self.get(name.path).content), str(name))


def access_log(squid, path: str, times: int) -> list[str]:
    """Return squid's log once it has a path so often: it writes after it answers."""
    until = time.monotonic() + 100
    while True:
        log = (Path(squid.folder) / "access").read_text().splitlines()
        if sum(path in line for line in log) >= times or time.monotonic() > until:
            return log
        time.sleep(0.05)


def test_a_push_is_seen_behind_a_squid_and_an_object_leaves_once(
    make_house, made, squid, tmp_path
):
    house = make_house()
    house.registry.start()
    house.publisher.start()
    site = Site(house, squid.url)
    try:
        for number in range(3):
            tree = tmp_path / f"tree{number}"
            tree.mkdir()
            (tree / "file").write_bytes(b"%d" % number)
            digest = house.copy(made.image(tree), f"group/env:v{number}")
            until = time.monotonic() + 100
            while not site.sees(digest):
                assert time.monotonic() < until
                time.sleep(0.05)
        head = site.head()
        for _ in range(5):
            answer = site.get(head.catalogue.path)
            assert answer.status_code == 200
        part = site.get(head.catalogue.path, Range="bytes=0-9")
        assert (part.status_code, part.content) == (206, answer.content[:10])
        missing = "data/00/" + "0" * 38
        assert [site.get(missing).status_code for _ in range(2)] == [404, 404]
    finally:
        site.client.close()
    log = access_log(squid, missing, 2)
    wanted = [line for line in log if head.catalogue.path in line]
    assert sum("_MISS/" in line for line in wanted) == 1, wanted
    # A 404 is not kept: the object may be there a moment later.
    assert sum("_MISS/" in line for line in log if missing in line) == 2
