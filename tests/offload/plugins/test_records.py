import json

import pytest

from offload.interlink import Pod, RetrievedPodData
from offload.plugins.facts import read_facts
from offload.plugins.records import Ending, Record, Stage, Submission, WorkArea

SECRET = {"metadata": {"name": "s"}, "data": {"token": "c2VjcmV0"}}
DATA = RetrievedPodData.model_validate(
    {
        "pod": {"metadata": {"name": "a", "uid": "u-1"}},
        "container": [{"name": "main", "secrets": [SECRET]}],
    }
)
RECORD = Record(
    uid="u-1", name="a", accepted_at=1.5, options=("--mem=1M",), stage=Stage.ENDED,
    ending=Ending(reason="Lost", message="m"),
)  # fmt: skip


@pytest.fixture
def work(tmp_path):
    return WorkArea(tmp_path / "work")


def test_what_was_accepted_is_there_after_a_restart(work):
    work.accept(RECORD, DATA)
    again = WorkArea(work.path)
    assert list(again.records()) == [RECORD]
    assert again.read_pod("u-1") == DATA.pod


def test_only_their_owner_can_read_them(work):
    work.accept(RECORD, DATA)
    assert oct(work.pod("u-1").path.stat().st_mode & 0o777) == "0o700"
    assert oct(work.pod("u-1").pod.stat().st_mode & 0o777) == "0o600"


def test_a_pod_that_was_not_accepted_leaves_nothing(work):
    work.pod("u-2").path.mkdir()
    work.pod("u-2").pod.write_bytes(DATA.to_wire())
    assert list(work.records()) == []
    assert not work.pod("u-2").path.exists()


def test_a_record_that_cannot_be_read_is_left_alone(work):
    folder = work.pod("u-3").path
    folder.mkdir()
    (folder / "record.json").write_text('{"stage": "levitating"}')
    assert list(work.records()) == []
    assert folder.exists()


def test_secrets_end_with_the_pod(work):
    work.accept(RECORD, DATA)
    work.drop_secrets("u-1")
    work.drop_secrets("u-1")
    assert b"c2VjcmV0" not in work.pod("u-1").pod.read_bytes()
    assert work.read_pod("u-1") == DATA.pod


def test_what_was_made_of_secrets_ends_with_the_pod(work):
    names = {"plain": "emptyDir", "s": "secret", "p": "projected", "..": "secret"}
    volumes = [{"name": name, kind: {}} for name, kind in names.items()]
    data = {"pod": {"metadata": {"uid": "u-1"}, "spec": {"volumes": volumes}}}
    work.accept(RECORD, RetrievedPodData.model_validate(data))
    folder = work.pod("u-1").volumes
    for name in ("plain", "s", "p"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch(mode=0o400)
    for _ in range(2):
        work.drop_secrets("u-1")
        assert [path.name for path in folder.iterdir()] == ["plain"]
    assert (folder / "plain/file").exists()


def test_a_submission(work):
    submission = Submission(
        id="s", uids=("u-1", "u-2"), options=("--mem=1M",), name="a"
    )
    folder = work.save_submission(submission, "#!/bin/sh\n")
    assert work.read_submission("s") == submission
    lines = (folder / "folders").read_text().splitlines()
    assert lines == [str(work.pod("u-1").path), str(work.pod("u-2").path)]
    work.forget_submission("s")
    assert work.submissions() == []
    assert work.read_submission("s") is None


def test_a_forgotten_pod_is_gone(work):
    work.accept(RECORD, DATA)
    (work.pod("u-1").path / "link").symlink_to(work.path)
    work.forget_pod("u-1")
    work.forget_pod("u-1")
    assert not work.pod("u-1").path.exists()
    assert work.path.exists()


def write(folder, name, document):
    path = folder.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


def test_what_the_wrapper_wrote(work):
    work.accept(RECORD, DATA)
    folder = work.pod("u-1")
    assert read_facts(folder).allocation == ""
    claim = {"allocation": "slurm:7", "attempt": 1, "began": 1.0, "node": "n1"}
    write(folder, "claim", claim)
    write(folder, "status/main.json", {"name": "main", "state": {"running": {}}})
    (folder.status / "bad.json").write_text("{")
    facts = read_facts(folder)
    assert (facts.allocation, facts.attempt, facts.done) == ("slurm:7", 1, None)
    assert set(facts.statuses) == {"main"}
    end = {
        "containers": [{"name": "main"}],
        "outputs": {"digest": "sha256:1", "size": 2},
    }
    write(folder, "status/done.json", {**end, "attempt": 0, "stop": "Terminated"})
    assert read_facts(folder).done is None  # of the attempt before
    write(folder, "status/done.json", {**end, "attempt": 1, "stop": None})
    done = read_facts(folder).done
    assert done is not None
    assert (done.outputs_digest, done.outputs_bytes) == ("sha256:1", 2)


def test_pods_are_kept_whole():
    assert Pod.model_validate(json.loads(DATA.to_wire())["pod"]) == DATA.pod
