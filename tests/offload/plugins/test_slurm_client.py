"""Slurm's programs, played by scripts: time limits, words, what is asked at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.plugins.errors import (
    SchedulerError,
    SchedulerLimitError,
    SchedulerRefusedError,
    SchedulerTryLaterError,
)
from offload.plugins.slurm_client import SlurmClient, classify, compressed


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        (
            (
                "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission"
                " failed: Job violates accounting/QOS policy (job submit limit, user's size"
                " and/or time limits)"
            ),
            SchedulerLimitError,
        ),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", SchedulerLimitError),
        (
            "Batch job submission failed: Invalid job array specification",
            SchedulerLimitError,
        ),
        ("sbatch: error: invalid partition specified: x", SchedulerRefusedError),
        (
            "Batch job submission failed: Requested node configuration is not available",
            SchedulerRefusedError,
        ),
        ("Invalid account or account/partition combination", SchedulerRefusedError),
        (
            "sbatch: error: Memory specification can not be satisfied",
            SchedulerRefusedError,
        ),
        ("Invalid generic resource (gres) specification", SchedulerRefusedError),
        ("sbatch: unrecognized option '--x'", SchedulerRefusedError),
        (
            "Unable to contact slurm controller (connect failure)",
            SchedulerTryLaterError,
        ),
        (
            "Slurm temporarily unable to accept job, sleeping and retrying",
            SchedulerTryLaterError,
        ),
        ("something that no rule knows", SchedulerTryLaterError),
        ("", SchedulerTryLaterError),
    ],
)
def test_what_sbatch_means(complaint, kind):
    error = classify(complaint)
    assert type(error) is kind
    assert "\n" not in str(error)
    assert str(error)


def test_a_lost_answer_is_neither_yes_nor_no():
    error = classify("Batch job submission failed: Socket timed out on send/recv")
    assert type(error) is SchedulerError


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        (["7"], ["7"]),
        (["7_0", "7_1", "7_2"], ["7_[0-2]"]),
        (["7_5", "8", "7_0", "9_1", "7_1", "8"], ["8", "7_[0-1,5]", "9_[1]"]),
    ],
)
def test_elements_of_one_array_are_one_request(ids, expected):
    assert compressed(ids) == expected


@given(st.sets(st.integers(0, 60), min_size=1))
def test_compressed_names_the_same_elements(numbers):
    (text,) = compressed([f"7_{n}" for n in numbers])
    found: set[int] = set()
    for part in text.removeprefix("7_[").removesuffix("]").split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    assert found == numbers


@pytest.fixture
def program(tmp_path):
    """Make a program that does what a script says."""

    def make(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return SlurmClient(tmp_path, timeout_s=5)

    return make


async def test_a_job_is_submitted_without_what_the_plugin_was_started_with(
    program, tmp_path, monkeypatch
):
    monkeypatch.setenv("SBATCH_PARTITION", "secret")
    client = program(
        "sbatch", f'env >{tmp_path}/env; echo "$@" >{tmp_path}/args; echo 7'
    )
    assert await client.submit(["--mem=1M"], tmp_path) == "7"
    assert (tmp_path / "args").read_text() == f"--parsable --mem=1M {tmp_path}/job.sh\n"
    assert "SBATCH" not in (tmp_path / "env").read_text()


async def test_the_cluster_after_a_jobs_id_is_cut_off(program, tmp_path):
    assert await program("sbatch", "echo '7;far'").submit([], tmp_path) == "7"


async def test_an_answer_that_is_no_id_is_no_certainty(program, tmp_path):
    with pytest.raises(SchedulerError, match="expected a job's id, got 'hello'"):
        await program("sbatch", "echo hello").submit([], tmp_path)


async def test_a_client_that_hangs_is_ended(program, tmp_path):
    program("squeue", "exec sleep 60")
    with pytest.raises(SchedulerError, match=r"squeue: no answer within 0\.2 s"):
        await SlurmClient(tmp_path, timeout_s=0.2).queue()


async def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(SchedulerError, match="No such file"):
        await SlurmClient(tmp_path, timeout_s=5).queue()


async def test_a_queue_with_comments_of_others(program):
    client = program(
        "squeue",
        "echo '7|7|N/A|RUNNING|None|n1|a/b/c|/work'; echo 'half of a line';"
        " echo '8|8|1|PENDING|(Dep|x)|'",
    )
    (row,) = await client.queue()
    assert row == ["7", "7", "N/A", "RUNNING", "None", "n1", "a/b/c", "/work"]


async def test_jobs_that_are_gone_are_cancelled_already(program):
    client = program("scancel", "echo 'scancel: error: Invalid job id 7' >&2; exit 1")
    await client.cancel(["7"])
    client = program("scancel", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(SchedulerError, match="Unable to contact"):
        await client.cancel(["7"])
