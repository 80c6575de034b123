import base64
import json

import pytest

from offload.plugins.node.folder import PodError
from offload.plugins.node.pod import parse_pod, read_pod


def body(**came_with):
    pod = {
        "metadata": {"name": "job-1", "uid": "u"},
        "spec": {"containers": [{"name": "main", "command": ["true"]}]},
    }
    return {"pod": pod, "container": [{"name": "main", **came_with}]}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_bare_pod_is_read_as_well(tmp_path):
    path = tmp_path / "pod.json"
    path.write_text(json.dumps(body()["pod"]))
    assert read_pod(path).main[0].command == ("true",)


def test_nulls_are_as_good_as_nothing():
    """Go's clients write null where a list is empty."""
    document = body(configMaps=None, secrets=None, projectedvolumemaps=None)
    document["pod"]["metadata"].update(labels=None, annotations=None)
    document["pod"]["spec"].update(volumes=None, initContainers=None)
    document["pod"]["spec"]["containers"][0].update(
        args=None, env=None, envFrom=None, volumeMounts=None, resources=None
    )
    pod = parse_pod(document)
    assert (pod.volumes, pod.init, pod.labels) == ({}, (), {})


def test_defaults_are_kubernetes():
    pod = parse_pod(body())
    assert (pod.restart_policy, pod.grace_s, pod.deadline_s) == ("Always", 30, None)
    assert pod.main[0].termination_path == "/dev/termination-log"
    assert pod.tasks is None


def test_data_of_config_maps_and_secrets():
    pod = parse_pod(
        body(
            configMaps=[
                {
                    "metadata": {"name": "cm"},
                    "data": {"text": "a\nb\n"},
                    "binaryData": {"raw": encoded(b"\xff\0")},
                }
            ],
            secrets=[
                {
                    "metadata": {"name": "s"},
                    "data": {"key": encoded(b"\x01")},
                    "stringData": {"plain": "p"},
                }
            ],
        )
    )
    assert pod.config_maps == {"cm": {"text": b"a\nb\n", "raw": b"\xff\0"}}
    assert pod.secrets == {"s": {"key": b"\x01", "plain": b"p"}}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"nodes": "2", "tasks": "8"}, (2, 8)),
        ({"nodes": "3"}, (3, 3)),
        ({"tasks": "4"}, (1, 4)),
    ],
)
def test_parallel_jobs(annotations, expected):
    document = body()
    document["pod"]["metadata"]["annotations"] = {
        f"analysis-facility/{name}": value for name, value in annotations.items()
    }
    assert parse_pod(document).tasks == expected


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"metadata": {}}', '{"metadata": {}, "spec": {}}', "\xff"]
)
def test_something_else_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "pod.json"
    path.write_text(text)
    with pytest.raises(PodError) as caught:
        read_pod(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PodError, match="cannot read"):
        read_pod(tmp_path / "pod.json")


def test_secrets_that_are_not_encoded_are_refused():
    with pytest.raises(PodError, match="base64"):
        parse_pod(body(secrets=[{"metadata": {"name": "s"}, "data": {"k": "***"}}]))


@pytest.mark.parametrize("text", ["results/**", '{"a": 1}', "[1]"])
def test_globs_that_are_no_list_are_refused(text):
    document = body()
    document["pod"]["metadata"]["annotations"] = {"analysis-facility/outputs": text}
    with pytest.raises(PodError, match="outputs"):
        _ = parse_pod(document).output_globs
