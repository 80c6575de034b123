import base64
import json
from dataclasses import replace

import pytest

from offload.jobs.model import Element, Job
from offload.jobs.pods import Credential, build, naming_pod
from offload.jobs.stages import Stage
from offload.snapshot import Part

ENV = Part("env", "/home/u/p/.venv", "sha256:" + "e" * 64, 9, 9, ())
INPUT = Part("inputs/0", "/data/x.root", "sha256:" + "f" * 64, 1, 9, (), file="x.root")


def pod_of(spec, snapshot, index=0, credentials=()):
    job = Job(42, "group-uuid", spec, snapshot.image, Stage.TRANSFERRED, {}, {})
    element = Element(
        42, index, "uid-7", Stage.TRANSFERRED, {}, is_one_of_many=spec.count > 1
    )
    sent = build(job, element, snapshot, user="anna", credentials=credentials)
    return json.loads(sent.to_wire())


def variables(pod) -> dict[str, str]:
    return {e["name"]: e["value"] for e in pod["spec"]["containers"][0]["env"]}


def test_a_job_is_this_pod(spec_of, snapshot) -> None:
    snapshot = replace(snapshot, parts=(ENV, INPUT, *snapshot.parts))
    spec = spec_of(
        command=("python", "train.py"),
        cwd="/home/u/p/sub",
        slice="1g.5gb",
        time_s=90.5,
        memory_bytes=2**31,
        cpus=3,
        outputs=("results/**",),
        flags="--qos=short",
        environment={"LANG": "C", "PATH": "/usr/bin"},
    )
    sent = pod_of(spec, snapshot)
    assert sent["pod"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "job-42",
            "namespace": "anna",
            "uid": "uid-7",
            "annotations": {
                "analysis-facility/job": "42",
                "analysis-facility/index": "0",
                "analysis-facility/group": "group-uuid",
                "analysis-facility/group-size": "1",
                "analysis-facility/outputs": '["results/**"]',
                "analysis-facility/working-folder": "code",
                "slurm-job.vk.io/flags": "--qos=short",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 91,
            "terminationGracePeriodSeconds": 30,
            "volumes": [
                {"name": "code", "emptyDir": {}},
                {
                    "name": "snapshot",
                    "image": {
                        "reference": "analysis-facility/snapshot@" + snapshot.image
                    },
                },
            ],
            "containers": [
                {
                    "name": "main",
                    "image": "analysis-facility/host",
                    "command": ["python", "train.py"],
                    "workingDir": "/home/u/p/sub",
                    "env": [
                        {"name": "LANG", "value": "C"},
                        {"name": "PATH", "value": "/home/u/p/.venv/bin:/usr/bin"},
                        {"name": "VIRTUAL_ENV", "value": "/home/u/p/.venv"},
                        {"name": "FACILITY_JOB_ID", "value": "42"},
                        {"name": "FACILITY_JOB_INDEX", "value": "0"},
                        {"name": "FACILITY_JOB_COUNT", "value": "1"},
                    ],
                    "resources": {
                        "limits": {
                            "cpu": "3",
                            "memory": "2147483648",
                            "nvidia.com/mig-1g.5gb": "1",
                        }
                    },
                    "volumeMounts": [
                        {
                            "name": "snapshot",
                            "subPath": "inputs/0/x.root",
                            "mountPath": "/data/x.root",
                            "readOnly": True,
                        },
                        {"name": "code", "mountPath": "/home/u/p"},
                        {
                            "name": "snapshot",
                            "subPath": "env",
                            "mountPath": "/home/u/p/.venv",
                            "readOnly": True,
                        },
                    ],
                }
            ],
        },
    }


def test_one_of_many_is_named_by_its_index(spec_of, snapshot) -> None:
    sent = pod_of(spec_of(count=1000), snapshot, index=7)["pod"]
    assert sent["metadata"]["name"] == "job-42-7"
    assert sent["metadata"]["annotations"]["analysis-facility/group-size"] == "1000"
    assert variables(sent)["FACILITY_JOB_INDEX"] == "7"
    element = Element(42, 7, "uid-7", Stage.DONE, {}, is_one_of_many=True)
    naming = naming_pod(element, "anna")
    assert (naming.metadata.name, naming.uid) == ("job-42-7", "uid-7")


def test_nodes_and_tasks_are_said_where_there_are_several(spec_of, snapshot) -> None:
    sent = pod_of(spec_of(nodes=2, tasks=8), snapshot)["pod"]
    said = sent["metadata"]["annotations"]
    assert said["analysis-facility/nodes"] == "2"
    assert said["analysis-facility/tasks"] == "8"


def test_credentials_are_a_secret_and_a_read_only_folder(spec_of, snapshot) -> None:
    secret = Credential("token", b"\xff\x00s3cret")
    sent = pod_of(spec_of(credentials=("token",)), snapshot, credentials=(secret,))
    (held,) = sent["container"][0]["secrets"]
    assert base64.b64decode(held["data"]["token"]) == secret.content
    volume = sent["pod"]["spec"]["volumes"][-1]
    assert volume["secret"] == {
        "secretName": held["metadata"]["name"],
        "defaultMode": 0o400,
    }
    mount = sent["pod"]["spec"]["containers"][0]["volumeMounts"][-1]
    assert (mount["mountPath"], mount["readOnly"]) == ("/run/credentials", True)
    assert variables(sent["pod"])["CREDENTIALS_DIRECTORY"] == "/run/credentials"
    assert "s3cret" not in repr(secret)
    assert "s3cret" not in json.dumps(sent["pod"])


def test_a_notebook_is_executed_by_its_own_environment(spec_of, snapshot) -> None:
    snapshot = replace(snapshot, parts=(ENV, *snapshot.parts))
    sent = pod_of(spec_of(notebook="fit [1].ipynb"), snapshot)["pod"]
    python, _, program, path = sent["spec"]["containers"][0]["command"]
    assert python == "/home/u/p/.venv/bin/python"
    compile(program, "runner", "exec")
    assert path == "/home/u/p/fit [1].ipynb"
    said = sent["metadata"]["annotations"]["analysis-facility/outputs"]
    assert json.loads(said) == ["fit [[]1].ipynb"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"CONDA_PREFIX": "/home/u/p/.venv"}, {"CONDA_PREFIX": "/home/u/p/.venv"}),
        (
            {"CONDA_PREFIX": "/opt/other", "CONDA_DEFAULT_ENV": "other"},
            {"VIRTUAL_ENV": "/home/u/p/.venv"},
        ),
    ],
)
def test_the_environment_is_activated_as_its_kind(
    spec_of, snapshot, given, expected
) -> None:
    snapshot = replace(snapshot, parts=(ENV, *snapshot.parts))
    found = variables(pod_of(spec_of(environment=given), snapshot)["pod"])
    names = ("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV")
    assert {k: v for k, v in found.items() if k in names} == expected


def test_values_are_not_expanded_by_kubernetes(spec_of, snapshot) -> None:
    spec = spec_of(environment={"LANG": "a$(PATH)b"})
    assert variables(pod_of(spec, snapshot)["pod"])["LANG"] == "a$$(PATH)b"
