"""Work for others: given up once nobody waits for it any more."""

import os
import subprocess
import sys
import threading

import pytest

from offload.cache.reading.asking import done_while_asked, is_asking


@pytest.fixture
def asker():
    """A thread that waits, until it is told to end."""
    end, begun = threading.Event(), threading.Event()

    def wait():
        begun.set()
        end.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()

    def stop():
        end.set()
        thread.join()

    yield thread.native_id, stop
    stop()


def test_work_is_done_for_who_waits(asker):
    me, _ = asker
    for one in (me, os.getpid(), 0):  # 0: nobody can tell
        assert is_asking(one)
        assert done_while_asked(lambda: 42, one) == 42


def test_what_goes_wrong_reaches_who_asked():
    def fail():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        done_while_asked(fail, 0)


def test_nobody_waits_for_who_has_gone(asker):
    one, stop = asker
    threading.Timer(0.1, stop).start()
    is_needed = threading.Event()
    with pytest.raises(InterruptedError):
        done_while_asked(is_needed.wait, one)
    is_needed.set()
    assert not is_asking(one)


def test_who_has_ended_and_was_not_asked_how_is_gone():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        ended.stdout.read()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not is_asking(ended.pid)


def test_who_is_being_killed_is_gone(monkeypatch, tmp_path):
    """No test can have a process stay so: the lines are those of proc(5)."""
    lines = "State:\tD (disk sleep)\nSigPnd:\t{}\nShdPnd:\t{}\n"
    monkeypatch.setattr("offload.cache.reading.asking.PROCESSES", tmp_path)
    (tmp_path / "7").mkdir()
    for own, shared, is_there in [
        ("0000000000000000", "0000000000000000", True),
        ("0000000000004000", "0000000000002000", True),
        ("0000000000000100", "0000000000000000", False),
        ("0000000000000000", "0000000000004100", False),
    ]:
        (tmp_path / "7/status").write_text(lines.format(own, shared))
        assert is_asking(7) == is_there
    assert is_asking(8)  # nobody can tell: there is not even this process
