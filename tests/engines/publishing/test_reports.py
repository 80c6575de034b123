"""What a site's plugin tells a real publisher of what jobs have read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import yaml

from offload.cache.publishing.tokens import site_token
from offload.cache.reading import RepositoryCache
from offload.cache.reading.choosing import Amount
from offload.cache.reading.mounting import Mount, can_mount
from offload.plugins import reconcile
from offload.plugins.assembly import assemble
from offload.plugins.config import load_config

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not can_mount(), reason="FUSE: see .ci/system-packages"),
]


@pytest.fixture
def house(make_house):
    house = make_house()
    house.registry.start()
    house.publisher.start()
    return house


@pytest.fixture
def image(house, made, tmp_path: Path) -> str:
    for name in ("read", "unread"):
        (tmp_path / "tree/lib").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree/lib" / name).write_bytes(os.urandom(9000))
    digest = house.copy(made.image(tmp_path / "tree"), "group/env:v1")
    with house.client() as client:
        assert client.wait(f"{house.host}/group/env:v1", 100).is_published
    return digest


@pytest.fixture
def config(house, tmp_path: Path):
    """What ``site.yaml`` says of a site that tells the publisher."""
    token = tmp_path / "site-token"
    token.write_text(site_token("far", "of tokens"))
    token.chmod(0o600)
    fqrn = house.settings.fqrn
    document = {
        "work": str(tmp_path / "work"),
        "repository": {
            "fqrn": fqrn,
            "urls": [f"{house.publisher.url}/cvmfs/{fqrn}"],
            "keys": [str(house.settings.keys / f"{fqrn}.pub")],
            "report": {"url": house.publisher.url, "token": str(token)},
        },
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(document))
    return load_config(tmp_path / "site.yaml")


def test_the_publisher_is_told_and_makes_a_bundle_of_it(
    house, image, config, tmp_path, monkeypatch
):
    where = tmp_path / "mounted"
    where.mkdir()
    reading = config.repository.reading()
    cache = RepositoryCache(config.work / "repository", reading)
    with cache, Mount(cache, image, where):  # as a job does
        (where / "lib/read").read_bytes()
    bundle = f"/.bundles/{image.removeprefix('sha256:')}"
    assert house.repository.namespace().lookup(bundle.encode()) is None
    monkeypatch.setattr(reconcile, "_HOUSEKEEPING_S", 0.0)
    asyncio.run(assemble(config, "far").reconciler.step())
    assert house.repository.namespace().lookup(bundle.encode())
    with RepositoryCache(tmp_path / "cold", reading) as cold:
        assert cold.read_before(image, cold.view()) == Amount(files=1, size=9000)
