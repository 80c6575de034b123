import json

import pytest

from offload.plugins.node import downward
from offload.plugins.node.folder import PodError, PodFolder
from offload.plugins.node.pod import VolumeMount, parse_pod
from offload.plugins.node.snapshots import SnapshotTrees, digest_of
from offload.plugins.node.volumes import Volumes, ensure_volumes

HEX = "ab" * 32
NODE = downward.Node("n1", 8, 2**34)
CERTIFICATE = "-----BEGIN-----\nMII\n\n-----END-----\n"
CAME_WITH = {
    "name": "main",
    "configMaps": [{"metadata": {"name": "cm"}, "data": {"a": "1\n", "b": "2"}}],
    "secrets": [{"metadata": {"name": "s"}, "data": {"key": "c2Vj"}}],
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "work" / "pods" / "uid"
    path.mkdir(parents=True)
    return PodFolder(path)


@pytest.fixture
def ensure(folder):
    def ensure(*volumes, annotations=None, **came_with):
        pod = parse_pod(
            {
                "pod": {
                    "metadata": {"name": "j", "annotations": annotations or {}},
                    "spec": {
                        "containers": [{"name": "main"}],
                        "volumes": list(volumes),
                    },
                },
                "container": [{**CAME_WITH, **came_with}],
            }
        )
        return ensure_volumes(pod, folder, NODE)

    return ensure


def tree(path):
    return {
        str(p.relative_to(path)): (p.read_text(), oct(p.stat().st_mode & 0o777))
        for p in path.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"emptyDir": {}}, {}),
        ({"configMap": {"name": "cm"}}, {"a": ("1\n", "0o644"), "b": ("2", "0o644")}),
        (
            {"configMap": {"name": "cm", "defaultMode": 0o600, "items": [
                {"key": "a", "path": "x/y", "mode": 0o400}]}},
            {"x/y": ("1\n", "0o400")},
        ),
        ({"secret": {"secretName": "s"}}, {"key": ("sec", "0o400")}),
        ({"secret": {"secretName": "no", "optional": True}}, {}),
        (
            {"downwardAPI": {"items": [
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"name": ("j", "0o644")},
        ),
        (
            {"projected": {"defaultMode": 0o440, "sources": [
                {"configMap": {"name": "cm", "items": [{"key": "b", "path": "b"}]}},
                {"secret": {"name": "s"}},
                {"downwardAPI": {"items": [
                    {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}},
            {"b": ("2", "0o440"), "key": ("sec", "0o440"), "n": ("j", "0o440")},
        ),
        ({"projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt"}}]}}, {}),
    ],
)  # fmt: skip
def test_what_each_kind_holds(ensure, folder, volume, expected):
    volumes = ensure({"name": "v", **volume})
    assert tree(volumes.private["v"]) == expected
    assert volumes.private["v"] == folder.volumes / "v"


def test_projected_volumes_keep_every_newline(ensure):
    resolved = [{"metadata": {"name": "v"}, "data": {"ca.crt": CERTIFICATE}}]
    volumes = ensure(
        {"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}},
        projectedvolumemaps=resolved,
    )
    assert (volumes.private["v"] / "ca.crt").read_bytes() == CERTIFICATE.encode()


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"configMap": {"name": "no"}}, "'no'"),
        ({"secret": {"secretName": "no"}}, "'no'"),
        ({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}, "'z'"),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../z"}]}}, "z"),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "/z"}]}}, "z"),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "persistentVolumeClaim"),
        ({"hostPath": {"path": "/"}}, "hostPath"),
        ({"image": {"reference": "busybox"}}, "image"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_no_volume(
    ensure, folder, volume, words
):
    with pytest.raises(PodError, match=words):
        ensure({"name": "v", **volume})
    assert not (folder.volumes / "v").exists()


def test_volumes_live_as_long_as_the_pod(ensure):
    first = ensure({"name": "v", "emptyDir": {}}).private["v"]
    (first / "checkpoint").write_text("7")
    again = ensure({"name": "v", "emptyDir": {}}).private["v"]
    assert (again / "checkpoint").read_text() == "7"


def test_a_half_made_volume_is_made_anew(ensure, folder):
    draft = folder.volumes / ".v.new"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    assert tree(ensure({"name": "v", "configMap": {"name": "cm"}}).private["v"]) == {
        "a": ("1\n", "0o644"),
        "b": ("2", "0o644"),
    }


def test_the_working_folder_is_a_private_copy_with_fingerprints(ensure, folder):
    code = folder.work / "trees" / "11"
    (code / "lib").mkdir(parents=True)
    (code / "lib" / "x.py").write_text("x")
    (code / "lib" / "x.py").chmod(0o755)
    (code / "link").symlink_to("lib/x.py")
    (code / "lib").chmod(0o555)
    images = folder.work / "images"
    images.mkdir()
    (images / f"{HEX}.json").write_text(
        json.dumps({"parts": [{"role": "code", "tree": "11"}]})
    )
    reference = f"analysis-facility/snapshot@sha256:{HEX}"
    volumes = ensure(
        {"name": "snapshot", "image": {"reference": reference}},
        {"name": "code", "emptyDir": {}},
        annotations={"analysis-facility/working-folder": "code"},
    )
    copy = volumes.private["code"]
    assert (copy / "lib" / "x.py").read_text() == "x"
    assert (copy / "lib" / "x.py").stat().st_mode & 0o777 == 0o755
    assert (copy / "lib").stat().st_mode & 0o777 == 0o555
    assert (copy / "link").readlink().as_posix() == "lib/x.py"
    assert (copy / "lib" / "x.py").stat().st_ino != (code / "lib/x.py").stat().st_ino
    lines = [json.loads(line) for line in folder.fingerprints.read_text().splitlines()]
    assert sorted(line[0] for line in lines) == ["lib", "lib/x.py", "link"]
    assert volumes.place(VolumeMount("snapshot", "/c", "code", True)) == (code, True)


def test_sub_paths_of_private_volumes(ensure):
    volumes = ensure({"name": "v", "emptyDir": {}})
    place, is_shared = volumes.place(VolumeMount("v", "/x", "a/b", False))
    assert place.is_dir()
    assert not is_shared
    with pytest.raises(PodError):
        volumes.place(VolumeMount("v", "/x", "../b", False))
    with pytest.raises(PodError, match="'w'"):
        volumes.place(VolumeMount("w", "/x", "", False))


@pytest.mark.parametrize(
    ("sub_path", "expected"),
    [("env", "1"), ("env/lib/x", "1/lib/x"), ("inputs/0", "2"), ("inputs/0/f", "2/f")],
)
def test_parts_of_a_snapshot(tmp_path, sub_path, expected):
    trees = {"env": tmp_path / "1", "inputs/0": tmp_path / "2"}
    assert SnapshotTrees("", trees).place(sub_path) == tmp_path / expected


def test_a_part_that_is_not_there(tmp_path):
    with pytest.raises(PodError, match="env, inputs/0"):
        SnapshotTrees("", {"env": tmp_path, "inputs/0": tmp_path}).place("environment")


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        (f"analysis-facility/snapshot@sha256:{HEX}", f"sha256:{HEX}"),
        (f"analysis-facility/snapshot:x@sha256:{HEX}", f"sha256:{HEX}"),
        ("analysis-facility/snapshot", None),
        (f"docker.io/analysis-facility/snapshot@sha256:{HEX}", None),
        ("analysis-facility/snapshot@sha256:../../pods/uid/volumes/v/x", None),
        ("", None),
    ],
)
def test_references_to_snapshots(reference, digest):
    assert digest_of(reference) == digest


@pytest.mark.parametrize("name", ["../../../home", "/home/somebody", "a/b", ""])
def test_the_name_of_a_volume_leads_nowhere_else(ensure, name):
    with pytest.raises(PodError, match="expected a name"):
        ensure({"name": name, "emptyDir": {}})


def test_a_link_in_a_volume_leads_no_mount_out_of_it(ensure, tmp_path):
    volumes = ensure({"name": "v", "emptyDir": {}})
    (volumes.private["v"] / "out").symlink_to(tmp_path)
    with pytest.raises(PodError, match="leads out"):
        volumes.place(VolumeMount("v", "/x", "out/work", False))


def test_no_sub_path_leads_out_of_a_snapshot(tmp_path):
    env = tmp_path / "env"
    env.mkdir()
    (env / "out").symlink_to(tmp_path)
    volumes = Volumes({}, {"s": SnapshotTrees("", {"env": env})})
    for sub_path in ("env/../other", "env/out"):
        with pytest.raises(PodError):
            volumes.place(VolumeMount("s", "/x", sub_path, True))
