import pytest

from facility.errors import ExitCode
from offload.jobs.errors import JobRefusedError, NoSuchJobError
from offload.jobs.model import ElementName


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"time_s": -5},
            "time_s: input should be greater than or equal to 1, got -5",
        ),
        (
            {"time_s": 1e12},
            "time_s: input should be less than or equal to 31622400, got 1000000000000.0",
        ),
        (
            {"memory_bytes": 2**60},
            (
                "memory_bytes: input should be less than or equal to 1125899906842624, "
                "got 1152921504606846976"
            ),
        ),
        ({"count": 0}, "count: input should be greater than or equal to 1, got 0"),
        ({"command": ()}, "expected either a command or a notebook"),
        ({"cwd": "/home/u"}, "cwd /home/u is not inside root /home/u/p"),
        (
            {"nodes": 2, "tasks": 1},
            "1 tasks cannot fill 2 nodes: give at least one task for each node",
        ),
        ({"after": ("x",)}, "after.0: expected the id of a job such as 42, got 'x'"),
        ({"site": "a b"}, "site: expected a name, got 'a b'"),
        (
            {"environment": {"A=B": "c"}},
            "environment: expected names of variables, got 'A=B'",
        ),
        (
            {"environment": {"A\nB": "c"}},
            "environment: expected names of variables, got 'A\\nB'",
        ),
        ({"colour": "red"}, "colour: extra inputs are not permitted, got 'red'"),
    ],
)
def test_absurd_requests_are_refused_in_one_line(spec_of, values, line) -> None:
    with pytest.raises(JobRefusedError) as refused:
        spec_of(**values)
    assert str(refused.value).startswith(line)
    assert refused.value.exit_code == ExitCode.USAGE


def test_a_specification_is_read_back_from_json(spec_of) -> None:
    spec = spec_of(environment={"LANG": "C"}, outputs=("results/**",), after=("3",))
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    assert "LANG" not in repr(spec)


def test_a_job_is_titled_by_its_name_or_by_what_it_runs(spec_of) -> None:
    assert spec_of(command=("python", "a.py")).title == "python a.py"
    assert spec_of(notebook="a.ipynb").title == "a.ipynb"
    assert spec_of(name="fit").title == "fit"


@pytest.mark.parametrize(
    ("text", "name"), [("42", ElementName(42)), ("42.7", ElementName(42, 7))]
)
def test_ids_are_numbers_with_an_index(text, name) -> None:
    assert ElementName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize("text", ["", "0", "hub", "4.", ".4", "4.x", "-1", "٣", "1e3"])
def test_what_is_no_id_is_refused(text) -> None:
    with pytest.raises(NoSuchJobError, match="expected the id of a job such as 42"):
        ElementName.parse(text)
