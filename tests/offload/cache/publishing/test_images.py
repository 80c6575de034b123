"""Manifests of every form are read; what is no image, or not for all, is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.publishing.errors import NoImageError, PrivateImageError
from offload.cache.publishing.images import PUBLIC, check_public, read_manifest

DIGEST = "sha256:" + "ab" * 32
OCI = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def descriptor(kind, digest=DIGEST, size=5, **more):
    return {"mediaType": kind, "digest": digest, "size": size, **more}


def manifest(**changes) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": descriptor(CONFIG),
        "layers": [descriptor(LAYER)],
    }
    document |= changes
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


@pytest.mark.parametrize("kind", [OCI, None])
def test_an_image(kind):
    image = read_manifest(manifest(mediaType=kind), "amd64")
    assert [blob.size for blob in image.layers] == [5]
    assert image.digest.startswith("sha256:")
    assert not image.is_public


def test_an_image_of_docker():
    docker = "application/vnd.docker"
    data = manifest(
        mediaType=f"{docker}.distribution.manifest.v2+json",
        config=descriptor(f"{docker}.container.image.v1+json"),
        layers=[descriptor(f"{docker}.image.rootfs.diff.tar.gzip")],
    )
    assert read_manifest(data, "amd64").layers[0].digest == DIGEST


def test_an_index_names_the_image_of_our_machines():
    platforms = [("linux", "arm64"), ("windows", "amd64"), ("linux", "amd64")]
    manifests = [
        descriptor(
            OCI,
            digest="sha256:" + f"{n}" * 64,
            platform={"os": os, "architecture": architecture},
        )
        for n, (os, architecture) in enumerate(platforms)
    ]
    index = "application/vnd.oci.image.index.v1+json"
    data = json.dumps({"mediaType": index, "manifests": manifests}).encode()
    assert read_manifest(data, "amd64") == "sha256:" + "2" * 64
    with pytest.raises(NoImageError, match="no image for linux/riscv64"):
        read_manifest(data, "riscv64")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b" " * (5 << 20),
        manifest(config=None),
        manifest(config=descriptor("application/vnd.cncf.helm.config.v1+json")),
        manifest(mediaType="application/vnd.docker.distribution.manifest.v1+json"),
        manifest(layers=[descriptor("application/vnd.wasm.content.layer.v1+wasm")]),
        manifest(layers=[descriptor(LAYER, digest="sha256:../../etc")]),
        manifest(layers=[descriptor(LAYER, digest=f"sha512:{'a' * 128}")]),
        manifest(layers=[descriptor(LAYER, size=-1)]),
        manifest(layers=[descriptor(LAYER, size="5")]),
        manifest(layers=[descriptor(LAYER)] * 1001),
        manifest(layers=1),
    ],
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(NoImageError) as caught:
        read_manifest(data, "amd64")
    assert str(caught.value).isprintable()


@given(st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(
        st.sampled_from(["config", "layers", "manifests", "mediaType", "digest"]), x
    ),
))  # fmt: skip
def test_any_document_is_refused(document):
    with pytest.raises(NoImageError):
        read_manifest(json.dumps(document).encode(), "amd64")


def config(**labels) -> bytes:
    return json.dumps({"config": {"Labels": labels}}).encode()


def test_who_says_so_is_public():
    image = read_manifest(manifest(annotations={PUBLIC: "1"}), "amd64")
    check_public(image, config(), is_wished=False)


@pytest.mark.parametrize("annotations", [{}, {PUBLIC: "0"}, {PUBLIC: "true"}, None])
def test_others_must_be_wished_for(annotations):
    image = read_manifest(manifest(annotations=annotations), "amd64")
    check_public(image, config(), is_wished=True)
    with pytest.raises(PrivateImageError, match="wish list"):
        check_public(image, config(), is_wished=False)


def test_a_wish_does_not_publish_the_snapshot_of_a_person():
    image = read_manifest(manifest(), "amd64")
    snapshot = config(**{"analysis-facility.snapshot": "{}"})
    with pytest.raises(PrivateImageError, match="stays private"):
        check_public(image, snapshot, is_wished=True)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"config": 1}'])
def test_a_configuration_that_is_none_is_refused(data):
    image = read_manifest(manifest(), "amd64")
    with pytest.raises(NoImageError):
        check_public(image, data, is_wished=True)
