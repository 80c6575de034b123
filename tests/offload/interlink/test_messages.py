"""Every message against the protocol's tables, in both directions."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from offload.interlink import (
    ContainerState,
    ContainerStatus,
    CreateStruct,
    LogOptions,
    LogStruct,
    PingResponse,
    Pod,
    PodCreateRequests,
    PodStatus,
    RetrievedContainer,
    RetrievedPodData,
    SystemInfo,
    TerminatedState,
)
from offload.interlink.messages import read_create, read_status_request, read_statuses

POD = {
    "metadata": {"name": "a", "uid": "u-1", "creationTimestamp": None,
                 "annotations": {"x/y": "z"}, "ownerReferences": [{"kind": "Job"}]},
    "spec": {
        "containers": [{
            "name": "main", "image": "i", "resources": {},
            "livenessProbe": {"exec": {"command": ["true"]}},
            "env": [{"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
        }],
        "volumes": [
            {"name": "v", "nfs": {"server": "s", "path": "/p"}},
            {"name": "w", "downwardAPI": {"items": [
                {"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "x", "image": {"reference": "r@sha256:0", "pullPolicy": "Always"}},
        ],
        "tolerations": [{"key": "virtual-node.interlink/no-schedule"}],
    },
    "status": {},
}  # fmt: skip

# Names on the wire, from the table of the protocol: message, its fields.
NAMES = [
    (CreateStruct(pod_uid="u"), {"PodUID", "PodJID"}),
    (
        PodStatus(uid="u"),
        {"name", "UID", "namespace", "JID", "containers", "initContainers"},
    ),
    (
        LogStruct(pod_uid="u"),
        {"Namespace", "PodUID", "PodName", "ContainerName", "Opts"},
    ),
    (
        LogOptions(),
        {
            "Tail",
            "Bytes",
            "Timestamps",
            "Follow",
            "Previous",
            "SinceSeconds",
            "SinceTime",
        },
    ),
    (
        RetrievedContainer(name="c"),
        {"name", "configMaps", "projectedvolumemaps", "secrets", "emptyDirs"},
    ),
    (
        RetrievedPodData(pod=Pod.model_validate(POD)),
        {"pod", "container", "jobConfig", "jobScript"},
    ),
    (
        PodCreateRequests(pod=Pod.model_validate(POD)),
        {"pod", "configmaps", "secrets", "projectedvolumesmaps", "jobscriptURL"},
    ),
    (PingResponse(), {"status", "resources", "taints"}),
]


@pytest.mark.parametrize(("message", "names"), NAMES, ids=lambda v: type(v).__name__)
def test_names_on_the_wire(message, names):
    assert set(json.loads(message.to_wire())) == names


@pytest.mark.parametrize(
    "message", [m for m, _ in NAMES], ids=lambda v: type(v).__name__
)
def test_what_is_written_is_read_as_the_same(message):
    assert type(message).model_validate_json(message.to_wire()) == message


def test_what_a_view_does_not_name_is_kept():
    again = json.loads(Pod.model_validate(POD).to_wire())
    # A map that was null and one that is empty mean the same; all else is equal.
    assert again == POD


def test_null_is_an_empty_list_or_map():
    pod = Pod.model_validate(
        {"metadata": {"labels": None}, "spec": {"containers": None, "volumes": None}}
    )
    assert pod.metadata.labels == {}
    assert pod.spec.containers == ()
    assert PodStatus.model_validate({"UID": "u", "containers": None}).containers == ()


def test_create_is_one_object_or_a_list():
    one = {"pod": POD, "container": [{"name": "main", "secrets": None}]}
    (data,), was_list = read_create(json.dumps(one).encode())
    assert (data.pod.uid, was_list) == ("u-1", False)
    (data,), was_list = read_create(b"\n " + json.dumps([one]).encode())
    assert (data.pod.uid, was_list) == ("u-1", True)
    with pytest.raises(ValidationError):
        read_create(b'{"Pod": 1}')


def test_projected_volumes_keep_their_newlines():
    certificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
    data = RetrievedContainer.model_validate(
        {"name": "c", "projectedvolumemaps": [{"data": {"ca.crt": certificate}}]}
    )
    again = RetrievedContainer.model_validate_json(data.to_wire())
    assert again.projected_volume_maps[0].data["ca.crt"] == certificate


def test_a_status_request_is_a_list_of_pods_and_a_ping_has_none():
    assert read_status_request(b"[]") == ()
    assert read_status_request(b"") == ()
    assert [p.uid for p in read_status_request(json.dumps([POD]).encode())] == ["u-1"]


def test_statuses_of_a_go_plugin():
    text = (
        b'[{"name":"a","UID":"u","namespace":"n","JID":"7","containers":[{"name":"c",'
        b'"state":{"terminated":{"exitCode":2,"startedAt":"2026-07-01T10:00:00Z",'
        b'"finishedAt":"2026-07-01T10:00:01.5Z"}},"lastState":{},"ready":false,'
        b'"restartCount":0,"image":"i","imageID":""}],"initContainers":null}]'
    )
    (status,) = read_statuses(text)
    end = status.containers[0].state.terminated
    assert end is not None
    assert end.exit_code == 2
    assert end.started_at == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert read_statuses(b"null") == ()


def test_a_container_status_has_what_kubernetes_always_writes():
    state = ContainerState(terminated=TerminatedState(reason="Completed"))
    document = json.loads(ContainerStatus(name="c", state=state).to_wire())
    assert document == {
        "name": "c",
        "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
        "ready": False,
        "restartCount": 0,
        "image": "",
        "imageID": "",
    }


@pytest.mark.parametrize("name", ["Bytes", "LimitBytes"])
def test_both_names_of_the_byte_limit(name):
    assert LogOptions.model_validate({name: 5}).limit_bytes == 5
    assert LogOptions.model_validate({"Bytes": 0, name: 5}).limit_bytes == 5


def test_no_log_is_asked_for_since_before_all_times():
    with pytest.raises(ValidationError, match="less than or equal"):
        LogOptions.model_validate({"SinceSeconds": 10**400})


def test_a_time_that_is_not_set_in_go_is_none():
    options = LogOptions.model_validate({"SinceTime": "0001-01-01T00:00:00Z"})
    assert options.since_time is None
    wire = json.loads(LogStruct(pod_uid="u", opts=options).to_wire())
    assert wire["Opts"]["SinceTime"] == "0001-01-01T00:00:00Z"


def test_system_info_of_a_newer_plugin_is_read():
    info = SystemInfo.model_validate({"version": "9", "novelty": 1})
    assert json.loads(info.to_wire())["novelty"] == 1
