"""A facility with a publisher: an agent hands an image over, the command tells of it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import httpx
import pytest

from facility.local.ports import choose_ports
from offload import zstd
from offload.cache.publishing.client import ImageState, PublisherClient
from offload.cache.publishing.images import PUBLIC
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

pytestmark = pytest.mark.engines

FQRN = "images.example.org"
KIND = "application/vnd.oci.image"


def image_in(store: LocalStore, content: bytes) -> tuple[str, list[Blob]]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("env/module.py")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    layer = store.add(zstd.compress(stream.getvalue()))
    diff = f"sha256:{hashlib.sha256(stream.getvalue()).hexdigest()}"
    config = store.add(
        json.dumps({"rootfs": {"type": "layers", "diff_ids": [diff]}}).encode()
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{KIND}.manifest.v1+json",
        "config": {
            "mediaType": f"{KIND}.config.v1+json",
            "digest": config.digest,
            "size": config.size,
        },
        "layers": [
            {
                "mediaType": f"{KIND}.layer.v1.tar+zstd",
                "digest": layer.digest,
                "size": layer.size,
            }
        ],
        "annotations": {PUBLIC: "1"},
    }
    image = store.add_image(json.dumps(manifest).encode(), "public")
    return image.digest, [config, layer]


def test_an_image_is_handed_over_listed_kept_removed_and_rolled_back(
    start_facility, tmp_path: Path
):
    port = choose_ports(tmp_path.name, "127.0.0.1", 0, None).hub
    facility = start_facility(publisher={"fqrn": FQRN, "port": port})
    settings = json.loads(facility.runtime.offload_file.read_text())
    token = Path(settings["publisher_token"])
    if token.is_dir():  # run by root, for several people
        token = token / facility.runtime.owner
    store = LocalStore(tmp_path / "store")
    image, blobs = image_in(store, b"print('hello')\n")
    seen: list[tuple[int, int]] = []
    with PublisherClient(settings["publisher"], token.read_text()) as client:
        assert not client.has(image)
        client.publish(image, blobs, store, lambda *told: seen.append(told))
        status = client.wait(image, 100)
        assert (status.state, status.fqrn) == (ImageState.PUBLISHED, FQRN)
        total = sum(blob.size for blob in blobs)
        assert (seen[0], seen[-1]) == ((0, total), (total, total))
        # Again nothing is sent, and nothing is published.
        assert client.publish(image, blobs, store).revision == status.revision
    (name,) = status.names
    listed = json.loads(facility.command("images", "list", "--json"))
    assert [each["image"] for each in listed] == [image]
    assert name.startswith("inbox/snapshots@sha256:")
    assert image[7:19] in facility.command("images", "list")
    told = facility.command("images", "wait", name, "--timeout", "60s")
    assert f"/cvmfs/{FQRN}{status.path}" in told
    facility.command("images", "pin", image)
    kept = f"pin of {facility.runtime.owner}/by-hand"
    assert kept in facility.command("images", "show", image)
    assert f"name {name}" in facility.command("images", "gc", "--dry-run")
    facility.command("images", "remove", name)
    told = json.loads(facility.command("images", "gc", "--dry-run", "--json"))
    assert told["kept"] == {image: [kept]}
    assert json.loads(facility.command("images", "gc", "--json"))["images"] == []
    facility.command("images", "unpin", image)
    facility.command("images", "rollback", str(status.revision))
    facility.command("images", "show", name)
    published = httpx.get(f"{settings['publisher']}/cvmfs/{FQRN}/.cvmfspublished")
    revision = next(x for x in published.text.splitlines() if x.startswith("S"))
    assert int(revision[1:]) == status.revision + 2
    site = facility.command("images", "token", "cluster").strip()
    told = httpx.put(
        f"{settings['publisher']}/reports/{image}",
        headers={"Authorization": f"Bearer {site}"},
        content=b"",
    )
    assert (told.status_code, "no object of" in told.text) == (400, True)
    refused = facility.command("images", "show", "no/such:image", expect=1)
    assert "unknown" in refused
    facility.command("images", "rollback", "nowhere", expect=2)
    facility.command("images", "wait", "h/env:none", "--timeout", "1s", expect=1)
    facility.command("images", "show", "../x", expect=2)
    states = {row["name"]: row["state"] for row in facility.status()["processes"]}
    assert states["publisher"] == "ready"
