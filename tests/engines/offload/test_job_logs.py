"""What a job printed, byte for byte, wherever the job is and after it is gone."""

import shutil
import time

import pytest

pytestmark = pytest.mark.engines

FIRST = b"".join(b"line %d \xff\x00\r\n" % i for i in range(5000)) + "\u00e4\n".encode()
SECOND = b"a bell \x07, and no newline at the end"


def printing(first, gate, second, end):
    """Return Python that prints two files, each before a line of Python."""
    shown = "sys.stdout.buffer.write(open({!r}, 'rb').read())\nsys.stdout.flush()\n"
    return f"import sys\n{shown.format(first)}{gate}{shown.format(second)}{end}"


def log(home, id_, *options):
    done = home.run("logs", id_, *options, as_bytes=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_bytes_before_during_and_after_deletion(home, python, witness):
    (home.work / "first").write_bytes(FIRST)
    (home.work / "second").write_bytes(SECOND)
    id_ = home.submit(
        "--site", "cluster", "--", "python", "-c",
        printing("first", witness.hold("gate"), "second", witness.hold("end")),
        python=python,
    )  # fmt: skip
    follower = home.start("logs", "-f", id_, as_bytes=True)
    home.eventually(lambda: witness.count("gate"))
    printed = time.time()
    assert log(home, id_) == FIRST
    lines = [line + b"\n" for line in FIRST.split(b"\n")[:-1]]
    assert log(home, id_, "--tail", "3") == b"".join(lines[-3:])
    # Between the two the command must be able to start, on a slow machine too.
    time.sleep(max(0.0, printed + 8 - time.time()))
    witness.release("gate")
    home.eventually(lambda: witness.count("end"))
    since = f"{time.time() - printed - 1:.1f}s"
    assert log(home, id_, "--since", since) == SECOND
    assert log(home, id_, "--since", "1h") == FIRST + SECOND
    (pod,) = home.pods("cluster")
    assert (pod / "logs/main.log").read_bytes() == FIRST + SECOND
    witness.release("end")
    # All the while it returns, and the site is told to forget it.
    readings = [log(home, id_)]
    home.facility("wait", id_)
    readings.append(log(home, id_))
    home.all_forgotten()
    # Its policy keeps it for a while, but for what the plugin may be removing just now.
    shutil.rmtree(pod, ignore_errors=True)
    assert not (pod / "logs").exists()
    readings.append(log(home, id_))
    assert set(readings) == {FIRST + SECOND}
    said, errors = follower.communicate(timeout=60)
    assert (follower.returncode, said) == (0, FIRST + SECOND), errors
    assert log(home, id_, "--tail", "1") == SECOND


def test_the_run_before_a_requeue(shared_home, slurm, python, witness):
    home = shared_home
    id_ = home.submit(
        "--site", "cluster", "--", "python", "-c",
        "import os; print('run', os.environ.get('SLURM_RESTART_COUNT', 0), flush=True)\n"
        + witness.hold("requeued"), python=python,
    )  # fmt: skip
    home.eventually(lambda: witness.count("requeued") == 1)
    # A job of another test may be completing.
    (slurm_job,) = home.eventually(lambda: len(ids := slurm.jobs()) == 1 and ids)
    slurm.run("scontrol", "requeue", slurm_job)
    home.eventually(lambda: witness.count("requeued") == 2)
    home.eventually(lambda: log(home, id_) == b"run 1\n")
    assert log(home, id_, "--previous") == b"run 0\n"
    witness.release("requeued")
    home.facility("wait", id_)
    assert home.job(id_)["outcome"] == "succeeded"
    assert log(home, id_) == b"run 1\n"
