"""Our plugin, called by hand: every call of the protocol's table, byte by byte."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.slurm.plugin import make_pod, uid_of

COMMAND = Path(sys.executable).parent / "offload-plugin"


def problem(answer):
    status, headers, content = answer
    assert headers["content-type"] == "application/problem+json"
    document = json.loads(content)
    assert document["status"] == status
    assert "\n" not in document["detail"]
    return status, document["type"].rpartition("/")[2], document["detail"]


def test_ping(plugin):
    status, _, content = plugin.ask("GET", "/status", [])
    document = json.loads(content)
    assert (status, document["status"]) == (200, "ok")
    assert set(document) == {"status", "resources", "taints"}
    assert set(document["resources"]) == {"cpu", "memory", "pods", "accelerators"}


def test_the_life_of_a_pod(plugin):
    pod = make_pod("echo one; echo two; exit 3")
    assert plugin.create(pod) == {"PodUID": uid_of(pod), "PodJID": ""}
    end = plugin.wait_end(pod)
    assert (end["exitCode"], end["reason"]) == (3, "Error")
    status = plugin.status(pod)
    assert set(status) == {
        "name", "UID", "namespace", "JID", "containers", "initContainers",
    }  # fmt: skip
    assert (status["name"], status["namespace"]) == ("job-1", "people")
    assert status["UID"] == uid_of(pod)
    assert plugin.logs(pod) == b"one\ntwo\n"
    assert plugin.logs(pod, Tail=1) == b"two\n"
    assert plugin.logs(pod, Bytes=5) == b"one\nt"
    assert plugin.logs(pod, LimitBytes=2) == b"on"
    assert plugin.logs(pod, SinceSeconds=3600) == b"one\ntwo\n"
    assert plugin.logs(pod, SinceTime="2100-01-01T00:00:00Z") == b""
    assert plugin.logs(pod, Timestamps=True).count(b"Z ") == 2
    plugin.delete(pod)
    plugin.wait(lambda: plugin.statuses(pod) == [], 20, "it is confirmed")
    plugin.delete(pod)  # again is fine
    assert plugin.logs(pod) == b"one\ntwo\n"  # logs outlive the job


def test_the_same_uid_again_changes_nothing(plugin):
    pod = make_pod("echo ran")
    plugin.create(pod)
    plugin.wait_end(pod)
    again = plugin.create(pod)
    assert again["PodUID"] == uid_of(pod)
    assert again["PodJID"] == plugin.status(pod)["JID"] != ""
    assert plugin.logs(pod) == b"ran\n"
    other = make_pod("echo other", uid=uid_of(pod), name="job-2")
    assert problem(plugin.ask("POST", "/create", other))[:2] == (409, "other-pod")


def test_a_list_of_one_is_answered_with_one_object(plugin):
    pod = make_pod("true")
    status, _, content = plugin.ask("POST", "/create", [pod])
    assert status == 200
    assert json.loads(content)["PodUID"] == uid_of(pod)


def test_every_pod_of_a_status_request_is_answered(plugin):
    pods = [make_pod("true") for _ in range(3)]
    answer = plugin.create(*pods)
    assert [each["PodUID"] for each in answer] == [uid_of(pod) for pod in pods]
    for pod in pods:
        plugin.wait_end(pod)
    unknown = make_pod("true")
    found = plugin.statuses(pods[2], unknown, pods[0])
    assert [s["UID"] for s in found] == [uid_of(pods[2]), uid_of(pods[0])]


def test_a_log_is_followed_to_its_end(plugin):
    pod = make_pod("echo a; sleep 1; echo b")
    plugin.create(pod)
    assert plugin.logs(pod, Follow=True) == b"a\nb\n"


def test_what_is_deleted_while_it_runs_ends(plugin):
    pod = make_pod("echo on; sleep 100", terminationGracePeriodSeconds=1)
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    plugin.delete(pod)
    plugin.wait(lambda: plugin.statuses(pod) == [], 20, "it is confirmed")
    assert plugin.running() == []


def test_init_containers_come_first(plugin):
    pod = make_pod("echo main")
    init = {"name": "init", "image": "", "command": ["/bin/sh", "-c", "exit 4"]}
    pod["pod"]["spec"]["initContainers"] = [init]
    plugin.create(pod)

    def failed():
        (status,) = plugin.status(pod)["initContainers"]
        return status["state"].get("terminated")

    assert plugin.wait(failed, 30, "the init container failed")["exitCode"] == 4
    plugin.wait(lambda: plugin.running() == [], 20, "the pod has ended")
    assert plugin.logs(pod) == b""


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"{", "JSON"), (b"[]", "expected a pod"), (b'{"pod": 1}', "pod"), (b"7", "")],
)
def test_malformed(plugin, raw, words):
    status, kind, detail = problem(plugin.ask("POST", "/create", raw=raw))
    assert (status, kind) == (400, "malformed-request")
    assert words in detail


def test_what_the_site_can_never_do(plugin):
    for pod, words in (
        (make_pod("true", limits={"cpu": "100000"}), "100000 were asked for"),
        (make_pod("true", limits={"nvidia.com/gpu": "1"}), "this site has 0 of"),
        (make_pod("true", uid="../x"), "metadata.uid"),
        (make_pod("true", container={"name": "../x"}), "spec.containers"),
        (make_pod("true", containers=[]), "at least one"),
        (
            make_pod("true", annotations={"analysis-facility/index": "x"}),
            "number",
        ),
    ):
        status, kind, detail = problem(plugin.ask("POST", "/create", pod))
        assert (status, kind) == (422, "impossible-request")
        assert words in detail


def test_of_several_pods_all_or_none_are_accepted(plugin):
    good, bad = make_pod("true"), make_pod("true", uid="no/uid")
    assert plugin.ask("POST", "/create", [good, bad])[0] == 422
    assert plugin.statuses(good) == []


def test_unknown_log(plugin):
    pod = make_pod("true")
    body = {"PodUID": uid_of(pod), "Opts": {}}
    assert problem(plugin.ask("GET", "/getLogs", body))[:2] == (404, "unknown-pod")
    plugin.create(pod)
    body["ContainerName"] = "other"
    assert problem(plugin.ask("GET", "/getLogs", body))[0] == 400
    body.update(ContainerName="", Opts={"Previous": True})
    assert problem(plugin.ask("GET", "/getLogs", body))[1] == "no-previous-run"


def test_system_info(plugin):
    _, _, content = plugin.ask("GET", "/system-info")
    info = json.loads(content)
    assert info["site"] == "test"
    assert info["executors"] == ["process"]
    assert info["free_bytes"] > 0
    assert info["pythons"]


def test_limits_are_told_before_anything_is_sent(start_plugin):
    plugin = start_plugin(limits={"time": "2 h", "memory": "4 GiB"})
    limits = json.loads(plugin.ask("GET", "/system-info")[2])["limits"]
    assert (limits["max_time_s"], limits["max_memory_bytes"]) == (7200, 4 * 2**30)


def test_changes(plugin):
    def changes(since, timeout_s=0):
        path = f"/facility/v1/changes?since={since}&timeout_s={timeout_s}"
        return json.loads(plugin.ask("GET", path)[2])

    plugin.wait(lambda: plugin.running() == [], 60, "the pods before it have ended")
    sequence = changes(0)["sequence"]
    assert changes(sequence)["pods"] == []
    pod = make_pod("true")
    plugin.create(pod)
    assert [s["UID"] for s in changes(sequence, 10)["pods"]] == [uid_of(pod)]
    plugin.wait_end(pod)
    assert uid_of(pod) in {s["UID"] for s in changes(0)["pods"]}
    # What an earlier plugin never gave out is answered with everything.
    assert uid_of(pod) in {s["UID"] for s in changes(10**17)["pods"]}
    plugin.delete(pod)
    plugin.wait(lambda: uid_of(pod) in changes(sequence)["gone"], 10, "gone")


def test_a_blob_arrives_in_pieces(plugin):
    content = b"0123456789"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    path = f"/facility/v1/blobs/{digest}"

    def send(offset, part, length=10):
        headers = {"Upload-Offset": str(offset), "Upload-Length": str(length)}
        return plugin.ask("PATCH", path, raw=part, headers=headers)

    def missing():
        body = {"blobs": [{"digest": digest, "size": 10}]}
        return json.loads(plugin.ask("POST", "/facility/v1/blobs/missing", body)[2])

    assert missing() == {
        "missing": [{"digest": digest, "offset": 0, "is_coming": False}]
    }
    assert send(0, content[:4])[0] == 204
    assert missing() == {
        "missing": [{"digest": digest, "offset": 4, "is_coming": False}]
    }
    status, headers, _ = send(2, content[2:])
    assert (status, headers["upload-offset"]) == (409, "4")
    assert send(4, b"wrong!")[0] == 422
    assert missing() == {
        "missing": [{"digest": digest, "offset": 0, "is_coming": False}]
    }
    status, headers, _ = send(0, content)
    assert (status, headers["upload-offset"]) == (201, "10")
    assert missing() == {"missing": []}
    assert send(0, content)[0] == 201  # again is fine
    for bad in ("sha256:../../x", "sha256:0", "md5:1"):
        answer = plugin.ask(
            "PATCH", f"/facility/v1/blobs/{bad}", raw=b"",
            headers={"Upload-Offset": "0", "Upload-Length": "0"},
        )  # fmt: skip
        assert answer[0] in {400, 404}


def test_a_pod_whose_snapshot_is_not_there(plugin):
    digest = "sha256:" + "0" * 64
    reference = f"analysis-facility/snapshot@{digest}"
    pod = make_pod(
        "true", volumes=[{"name": "snapshot", "image": {"reference": reference}}]
    )
    answer = plugin.ask("POST", "/create", pod)
    assert problem(answer)[:2] == (424, "missing-blobs")
    assert json.loads(answer[2])["missing"] == [digest]
    assert plugin.statuses(pod) == []


def test_a_log_file_in_ranges(plugin):
    pod = make_pod("printf 0123456789")
    plugin.create(pod)
    plugin.wait_end(pod)
    path = f"/facility/v1/pods/{uid_of(pod)}/logs/main"
    assert plugin.ask("GET", path)[2] == b"0123456789"
    status, headers, content = plugin.ask("GET", path, headers={"Range": "bytes=4-"})
    assert (status, content) == (206, b"456789")
    assert headers["content-range"] == "bytes 4-9/10"
    assert plugin.ask("GET", path, headers={"Range": "bytes=2-3"})[2] == b"23"
    status, headers, _ = plugin.ask("GET", path, headers={"Range": "bytes=10-"})
    assert (status, headers["content-range"]) == (416, "bytes */10")


def test_outputs_of_what_has_not_ended_or_has_none(plugin):
    pod = make_pod("sleep 1")
    plugin.create(pod)
    path = f"/facility/v1/pods/{uid_of(pod)}/outputs"
    assert problem(plugin.ask("GET", path))[0] == 425
    plugin.wait_end(pod)
    assert problem(plugin.ask("GET", path))[:2] == (404, "no-outputs")
    assert problem(plugin.ask("GET", path.replace("-", "0")))[1] == "unknown-pod"


def test_outputs_are_fetched_from_any_place_and_acknowledged(plugin):
    pod = make_pod("echo new >made", container={"workingDir": "/work"})
    spec = pod["pod"]["spec"]
    spec["volumes"] = [{"name": "code", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "code", "mountPath": "/work"}]
    spec["containers"][0]["command"][-1] = "echo new >$PWD/made"
    pod["pod"]["metadata"]["annotations"]["analysis-facility/working-folder"] = "code"
    plugin.create(pod)
    assert plugin.wait_end(pod)["exitCode"] == 0, plugin.logs(pod)
    path = f"/facility/v1/pods/{uid_of(pod)}/outputs"
    status, headers, whole = plugin.ask("GET", path)
    assert status == 200
    digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
    assert headers["etag"] == f'"{digest}"'
    rest = plugin.ask("GET", path, headers={"Range": "bytes=10-"})
    assert (rest[0], rest[2]) == (206, whole[10:])
    received = f"{path}/received"
    assert plugin.ask("POST", received, {"digest": "sha256:other"})[0] == 409
    assert plugin.ask("POST", received, {"digest": digest})[0] == 204
    assert plugin.ask("POST", received, {"digest": digest})[0] == 204


def test_secrets_end_with_the_pod(plugin):
    pod = make_pod("true")
    secret = {"metadata": {"name": "s"}, "data": {"token": "c2VjcmV0LXRva2Vu"}}
    pod["container"][0]["secrets"] = [secret]
    plugin.create(pod)
    plugin.wait_end(pod)
    plugin.wait(lambda: plugin.running() == [], 10, "the record is closed")
    for path in plugin.work.rglob("*"):
        if path.is_file():
            assert b"c2VjcmV0LXRva2Vu" not in path.read_bytes()


def run(*arguments):
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_second_plugin_of_one_work_area_is_refused(plugin):
    done = run("--config", plugin.folder / "site.yaml")
    assert done.returncode == 2
    assert "is served by another plugin" in done.stderr
    assert done.stderr.count("\n") == 1


def test_check(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text(f"work: {tmp_path}/work\nruntime: none\n")
    done = run("--config", config, "--check")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runtime"] == "none"


def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("executr: slurm\n")
    done = run("--config", config)
    assert done.returncode == 2
    assert "did you mean 'executor'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_path_too_long_for_a_socket(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text(f"work: {tmp_path}/w\nsocket: {tmp_path}/{'x' * 120}\n")
    done = run("--config", config)
    assert done.returncode == 2
    assert "expected a path of at most" in done.stderr
