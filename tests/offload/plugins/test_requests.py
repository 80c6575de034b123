from fractions import Fraction

import pytest

from offload.interlink import Pod
from offload.plugins.config import LimitsConfig
from offload.plugins.errors import ImpossibleRequestError
from offload.plugins.requests import full_resource_name, request_of


def pod(*limits, init=(), annotations=None, deadline=None):
    def containers(prefix, amounts):
        return [
            {"name": f"{prefix}{i}", "resources": resources}
            for i, resources in enumerate(amounts)
        ]

    return Pod.model_validate(
        {
            "metadata": {"uid": "u", "annotations": annotations or {}},
            "spec": {
                "containers": containers("c", [{"limits": m} for m in limits]),
                "initContainers": containers("i", [{"limits": m} for m in init]),
                "activeDeadlineSeconds": deadline,
            },
        }
    )


def test_containers_add_up_and_init_containers_take_turns():
    asked = request_of(
        pod(
            {"cpu": "500m", "memory": "1Gi"},
            {"cpu": "1", "memory": "1Gi", "nvidia.com/mig-1g.5gb": "1"},
            init=({"memory": "3Gi"}, {"cpu": "1"}),
        ),
        LimitsConfig(),
    )
    assert asked.cpus == Fraction(3, 2)
    assert asked.cpus_per_task == 2
    assert asked.memory_bytes == 3 * 2**30
    assert asked.devices == {"nvidia.com/mig-1g.5gb": 1}


def test_requests_count_where_there_is_no_limit():
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}
    assert request_of(Pod.model_validate({"spec": spec}), LimitsConfig()).cpus == 2


def test_who_asks_for_nothing_gets_what_the_site_gives():
    asked = request_of(pod({}), LimitsConfig())
    assert (asked.cpus, asked.memory_bytes, asked.devices) == (0, 0, {})


def test_nodes_and_tasks_share_what_the_pod_asks_for():
    annotations = {"analysis-facility/nodes": "2", "analysis-facility/tasks": "8"}
    asked = request_of(
        pod({"cpu": "16", "memory": "4Gi"}, annotations=annotations), LimitsConfig()
    )
    assert (asked.nodes, asked.tasks, asked.cpus_per_task) == (2, 8, 2)
    assert asked.memory_per_node_bytes == 2 * 2**30


@pytest.mark.parametrize(
    ("limits", "annotations", "deadline", "words"),
    [
        ({"cpu": "-1"}, {}, None, "resource cpu: expected an amount from 0"),
        ({"memory": "much"}, {}, None, "resource memory: expected a quantity"),
        ({"memory": "9Ei"}, {}, None, "resource memory: expected an amount"),
        ({"cpu": "9"}, {}, None, "at most 8 CPUs to a job, 9 were asked for"),
        ({"memory": "2Gi"}, {}, None, "at most 1.07374e"),
        ({}, {}, 0, "activeDeadlineSeconds: expected at least 1, got 0"),
        ({}, {}, 101, "at most 100 s to a job"),
        ({}, {"analysis-facility/nodes": "0"}, None, "expected a number from 1"),
        ({}, {"analysis-facility/nodes": "٣"}, None, "expected a number from 1"),
        ({}, {"analysis-facility/tasks": "1" * 10}, None, "expected a number from 1"),
        ({}, {"analysis-facility/tasks": "0" * 8 + "1" * 5000}, None, "expected a num"),
        (
            {},
            {"analysis-facility/nodes": "3", "analysis-facility/tasks": "2"},
            None,
            "expected at least as many tasks as nodes",
        ),
    ],
)
def test_impossible(limits, annotations, deadline, words):
    site = LimitsConfig(cpus=8, memory="1 GiB", time=100)
    with pytest.raises(ImpossibleRequestError, match=words):
        request_of(pod(limits, annotations=annotations, deadline=deadline), site)


def test_full_resource_name():
    assert full_resource_name("1g.5gb") == "nvidia.com/mig-1g.5gb"
    assert full_resource_name("nvidia.com/gpu") == "nvidia.com/gpu"
