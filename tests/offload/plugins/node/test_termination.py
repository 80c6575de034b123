import os

import pytest

from offload.plugins.node.termination import lost, read_ending


@pytest.fixture
def read(tmp_path):
    message, log = tmp_path / "message", tmp_path / "log"

    def read(document, *, said="", wrote="", fallback=False, stop=None):
        message.write_text(said)
        log.write_text(wrote)
        return read_ending(
            {"started": 1.0, "finished": 2.0, **document},
            termination_log=message,
            log=log,
            is_log_the_message=fallback,
            stop_reason=stop,
        )

    return read


@pytest.mark.parametrize(
    ("document", "stop", "reason", "code"),
    [
        ({"code": 0}, None, "Completed", 0),
        ({"code": 3}, None, "Error", 3),
        ({"code": 137, "signal": 9, "oom": True}, None, "OOMKilled", 137),
        ({"code": 143, "asked": True}, "Cancelled", "Cancelled", 143),
        ({"code": 0, "asked": True}, "DeadlineExceeded", "DeadlineExceeded", 0),
        ({"code": 3}, "Cancelled", "Error", 3),  # ended before it was asked to
        ({"code": 137, "oom": True, "asked": True}, "Cancelled", "OOMKilled", 137),
        ({"code": 127, "error": "/x: no"}, None, "ContainerCannotRun", 128),
    ],
)
def test_reason(read, document, stop, reason, code):
    ended = read(document, stop=stop)
    assert (ended.reason, ended.code) == (reason, code)


def test_message_is_what_the_container_left(read):
    assert read({"code": 1}, said="bad\nfit", wrote="x", fallback=True).message == (
        "bad\nfit"
    )


def test_message_is_cut_at_its_front(read):
    assert read({"code": 0}, said="a" * 10 + "b" * 4096).message == "b" * 4096


def test_log_speaks_for_a_failure_only(read):
    assert read({"code": 1}, wrote="Traceback", fallback=True).message == "Traceback"
    assert read({"code": 0}, wrote="Traceback", fallback=True).message == ""
    assert read({"code": 1}, wrote="Traceback").message == ""


def test_log_speaks_80_lines_or_2048_bytes(read):
    lines = "".join(f"{n}\n" for n in range(200))
    message = read({"code": 1}, wrote=lines, fallback=True).message
    assert message.splitlines() == [str(n) for n in range(120, 200)]
    assert len(read({"code": 1}, wrote="x" * 5000, fallback=True).message) == 2048


def test_a_sandbox_that_could_not_start_says_why(read):
    ended = read(
        {"code": 1, "sandbox_error": True}, wrote="hello\nbwrap: execvp x: No such\n"
    )
    assert ended.reason == "ContainerCannotRun"
    assert ended.message == "execvp x: No such"


def test_bytes_that_are_no_text_do_no_harm(read, tmp_path):
    (tmp_path / "message").write_bytes(b"\xff\xfe")
    ended = read_ending(
        {"code": 0, "started": 1.0, "finished": 2.0},
        termination_log=tmp_path / "message",
        log=tmp_path / "nothing",
        is_log_the_message=False,
        stop_reason=None,
    )
    assert ended.message == "\ufffd\ufffd"


def test_lost_says_so():
    state = lost(1.0, 2.0).to_state()["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "Lost")
    assert state["startedAt"] == "1970-01-01T00:00:01Z"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_no_message_is_read_through_a_link_or_from_a_pipe(tmp_path, kind):
    message = tmp_path / "message"
    if kind == "link":
        (tmp_path / "key").write_text("secret")
        message.symlink_to(tmp_path / "key")
    else:
        os.mkfifo(message)
    ended = read_ending(
        {"code": 0, "started": 1.0, "finished": 2.0},
        termination_log=message,
        log=tmp_path / "nothing",
        is_log_the_message=False,
        stop_reason=None,
    )
    assert ended.message == ""
