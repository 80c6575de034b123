import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.plugins.config import LimitsConfig
from offload.plugins.errors import ImpossibleRequestError
from offload.plugins.flags import (
    SHORT,
    WITH_VALUE,
    WITHOUT_VALUE,
    parse_flags,
    refuse_beyond,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("--partition=gpu", ("--partition=gpu",)),
        ("--partition gpu -A physics", ("--partition=gpu", "--account=physics")),
        ("-pgpu -N2", ("--partition=gpu", "--nodes=2")),
        ("--exclusive --constraint='a&b'", ("--exclusive", "--constraint=a&b")),
        ("--exclusive=user", ("--exclusive=user",)),
        ("--begin=now+1hour\n--nice=5", ("--begin=now+1hour", "--nice=5")),
        ("--mem=$(rm -rf /)".replace(" ", "_"), ("--mem=$(rm_-rf_/)",)),
    ],
)
def test_flags_as_sbatch_takes_them(text, expected):
    assert parse_flags(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "--wrap=id", "--output=/etc/passwd", "-o /etc/x", "-e x", "-i x", "-D /",
        "--chdir=/", "--export=ALL,A=b", "--uid=0", "--gid=0", "--array=0-9", "-a 1",
        "--comment=x", "--job-name=x", "-J x", "--parsable", "--wait", "-W", "--test-only",
        "--clusters=all", "-M all", "--get-user-env", "--propagate", "--dependency=1",
        "-d 1", "--mail-user=a@b", "--bbf=x", "--nodefile=/etc/shadow", "-F /etc/shadow",
        "--container=/x", "--no-kill", "--input=x", "--signal=KILL", "--help", "-h",
        "script.sh", "--", "-", "--partition", "--partition --exclusive", "--requeue=1",
        "--partiton=x", "-p 'a", "--nice=\x001", "-p x; rm",
        "--nodelist=/etc/shadow", "-w ./nodes", "--exclude=/etc/shadow", "-x a/b",
    ],
)  # fmt: skip
def test_what_is_refused(text):
    with pytest.raises(
        ImpossibleRequestError, match=r"annotation slurm-job.vk.io/flags"
    ):
        parse_flags(text)


def test_a_wrong_flag_brings_the_near_one():
    with pytest.raises(ImpossibleRequestError, match="did you mean 'partition'"):
        parse_flags("--partiton=x")


def test_short_forms_are_of_known_flags():
    assert {name for name in SHORT.values() if name != "nodefile"} <= (
        WITH_VALUE | WITHOUT_VALUE
    )


@given(st.text())
def test_whatever_is_written_only_known_flags_come_out(text):
    found: tuple[str, ...] = ()
    with contextlib.suppress(ImpossibleRequestError):
        found = parse_flags(text)
    for flag in found:
        assert flag[2:].partition("=")[0] in WITH_VALUE | WITHOUT_VALUE


@pytest.mark.parametrize(
    ("limits", "flag"),
    [
        ({"time": 3600}, "--time=10-0"),
        ({"time": 3600}, "-t 10-0"),
        ({"memory": "2 GiB"}, "--mem=900G"),
        ({"memory": "2 GiB"}, "--mem-per-cpu=900G"),
        ({"cpus": 4}, "--cpus-per-task=128"),
        ({"cpus": 4}, "--exclusive=user"),
        ({"cpus": 4}, "-N 100"),
    ],
)
def test_no_flag_goes_round_a_limit(limits, flag):
    flags = parse_flags(flag)
    refuse_beyond(flags, LimitsConfig())  # where there is none, they say how much
    refuse_beyond(parse_flags("--partition=gpu --nice=5"), LimitsConfig(**limits))
    with pytest.raises(ImpossibleRequestError, match="this site limits the"):
        refuse_beyond(flags, LimitsConfig(**limits))
