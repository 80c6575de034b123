import pytest

from offload.plugins.node import downward, variables
from offload.plugins.node.folder import PodError
from offload.plugins.node.pod import parse_pod

NODE = downward.Node("n1", cpus=8, memory_bytes=2**34)


def values(*env, env_from=(), limits=None, requests=None):
    pod = parse_pod(
        {
            "pod": {
                "metadata": {
                    "name": "job-1",
                    "namespace": "me",
                    "uid": "u-1",
                    "labels": {"b": "2", "a": 'say "hi"\n\\'},
                    "annotations": {"note.org/x": "text"},
                },
                "spec": {
                    "serviceAccountName": "robot",
                    "containers": [
                        {
                            "name": "main",
                            "env": list(env),
                            "envFrom": list(env_from),
                            "resources": {
                                "limits": limits or {},
                                "requests": requests or {},
                            },
                        }
                    ],
                },
            },
            "container": [
                {
                    "name": "main",
                    "configMaps": [
                        {"metadata": {"name": "cm"}, "data": {"A": "cm", "B": "b\n"}}
                    ],
                    "secrets": [{"metadata": {"name": "s"}, "data": {"A": "c2Vj"}}],
                }
            ],
        }
    )
    return variables.of_pod(pod, pod.main[0], NODE)


def field(path):
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(what, **more):
    return {
        "name": "X",
        "valueFrom": {"resourceFieldRef": {"resource": what, **more}},
    }


def test_values_refer_to_those_before_them():
    got = values(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C", "value": "$(B)"},
        {"name": "D"},
    )
    assert got == {"A": "1", "B": "1$(C)", "C": "1$(C)", "D": ""}


def test_later_sources_win_and_env_wins_over_all():
    refs = [{"configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}]
    assert values(env_from=refs) == {"A": "sec", "B": "b\n"}
    assert values({"name": "A", "value": "$(A)!"}, env_from=refs)["A"] == "sec!"


def test_prefixes():
    got = values(env_from=[{"prefix": "P_", "configMapRef": {"name": "cm"}}])
    assert got == {"P_A": "cm", "P_B": "b\n"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"configMapKeyRef": {"name": "cm", "key": "B"}}, "b\n"),
        ({"secretKeyRef": {"name": "s", "key": "A"}}, "sec"),
        ({"secretKeyRef": {"name": "s", "key": "no", "optional": True}}, None),
        ({"configMapKeyRef": {"name": "no", "key": "A", "optional": True}}, None),
    ],
)
def test_keys_of_config_maps_and_secrets(source, expected):
    assert values({"name": "X", "valueFrom": source}).get("X") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "job-1"),
        ("metadata.namespace", "me"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['b']", "2"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note.org/x']", "text"),
        ("metadata.labels", 'a="say \\"hi\\"\\n\\\\"\nb="2"'),
        ("spec.nodeName", "n1"),
        ("spec.serviceAccountName", "robot"),
    ],
)
def test_fields_of_the_pod(path, expected):
    assert values(field(path)) == {"X": expected}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (resource("limits.cpu"), "2"),
        (resource("limits.cpu", divisor="1m"), "1500"),
        (resource("limits.memory"), "1073741824"),
        (resource("limits.memory", divisor="1Mi"), "1024"),
        (resource("requests.cpu"), "1"),
        (resource("limits.ephemeral-storage"), "0"),
    ],
)
def test_resources_are_rounded_up(reference, expected):
    got = values(
        reference, limits={"cpu": "1500m", "memory": "1Gi"}, requests={"cpu": 1}
    )
    assert got == {"X": expected}


def test_without_a_limit_it_is_the_nodes():
    assert values(resource("limits.cpu")) == {"X": "8"}
    assert values(resource("limits.memory", divisor="1Gi")) == {"X": "16"}


@pytest.mark.parametrize(
    "env",
    [
        field("metadata.nothing"),
        resource("cpu"),
        resource("limits.cpu", containerName="other"),
        resource("limits.cpu", divisor="many"),
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "no"}}},
        {"name": "X", "valueFrom": {"fileKeyRef": {}}},
    ],
)
def test_what_is_not_there_is_refused(env):
    with pytest.raises(PodError):
        values(env)


def test_a_missing_source_of_all_is_refused():
    with pytest.raises(PodError, match="'no'"):
        values(env_from=[{"secretRef": {"name": "no"}}])
    assert values(env_from=[{"secretRef": {"name": "no", "optional": True}}]) == {}


def test_only_the_schedulers_variables_pass():
    site = {"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0", "TOKEN": "x", "PATH": "y"}
    assert variables.of_scheduler(site) == {
        "SLURM_JOB_ID": "1",
        "CUDA_VISIBLE_DEVICES": "0",
    }


def test_the_share_of_a_node():
    node = downward.Node.this(
        {"SLURMD_NODENAME": "n3", "SLURM_CPUS_ON_NODE": "2", "SLURM_MEM_PER_NODE": "64"}
    )
    assert node == downward.Node("n3", 2, 64 * 2**20)
