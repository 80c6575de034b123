"""Processes of this machine: fresh ones, that may die, and leave nothing behind."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import hist
import numpy as np
import pytest

from facility.columnar import ChunkError, Dataset, MissingBranchError
from facility.columnar.executors import Processes, processes
from facility.columnar.executors.processes import DEATHS
from facility.errors import FacilityError, UsageError
from facility.process import identify


def weighted(events):
    """Floating-point weights: sums depend on their order."""
    counts = np.asarray(events.nMuon)
    axis = hist.axis.Regular(5, 0, 5, name="n")
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(
        counts, weight=1 / (3 + np.arange(len(counts)))
    )


def children():
    """Return the living children of this process, by pid."""
    found = set()
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended
            found |= {int(pid) for pid in (thread / "children").read_text().split()}
    return {pid for pid in found if identify(pid) is not None}


@pytest.fixture(autouse=True)
def nothing_left():
    before = children()
    yield
    assert children() <= before


def test_same_bits_as_serial(ttree):
    dataset = Dataset(ttree, chunk_events=20)
    here = dataset.run(weighted, on="serial", progress=False)
    there = dataset.run(weighted, on=Processes(2), progress=False)
    assert there.hist.view(flow=True).tobytes() == here.hist.view(flow=True).tobytes()
    assert there.provenance.executor == "processes"
    assert [c.index for c in there.provenance.chunks] == list(range(52))
    assert f":{os.getpid()}" not in " ".join(there.provenance.workers)


def test_by_its_name_and_a_function_of_main_without_a_guard(ttree):
    script = textwrap.dedent(
        f"""
        import numpy as np
        from facility.columnar import Dataset
        SCALE = 3
        def scaled(x):
            return SCALE * x
        def analysis(events):
            return scaled(int(np.sum(events.nMuon)))
        dataset = Dataset({str(ttree)!r}, chunk_events=300)
        print(dataset.run(analysis, on="processes", progress=False).value)
        """
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, check=True
    )
    truth = Dataset(ttree).run(lambda e: 3 * int(np.sum(e.nMuon)), progress=False)
    assert (done.stdout, done.stderr) == (f"{truth.value}\n", "")


def test_modules_are_found_where_this_process_finds_them(ttree, tmp_path, monkeypatch):
    (tmp_path / "my_selection.py").write_text("def muons(events): return events.nMuon")
    monkeypatch.syspath_prepend(tmp_path)
    import my_selection

    result = Dataset(ttree).run(
        lambda e: int(np.sum(my_selection.muons(e))), on=Processes(1), progress=False
    )
    assert result.value > 0


SAMPLE = range(2)
REST = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 100)]


@pytest.mark.parametrize("seed", [*SAMPLE, *REST])
def test_processes_killed_at_random_moments_change_nothing(ttree, seed, monkeypatch):
    """About one in three chunks loses its process, before, while or after it computes."""
    # On a busy machine all kills may hit one chunk: that it is given up is not the matter.
    monkeypatch.setattr(processes, "DEATHS", 100)

    def slow(events):
        import time

        time.sleep(0.03 * (len(events) > 0))
        return weighted(events)

    dataset = Dataset(ttree, chunk_events=50)
    expected = dataset.run(slow, on="serial", progress=False)
    random_moment = random.Random(seed)
    before = children()
    is_over = threading.Event()
    killed = 0

    def kill():
        nonlocal killed
        while killed < 7 and not is_over.wait(random_moment.uniform(0.05, 0.4)):
            if victims := sorted(children() - before):
                with suppress(ProcessLookupError):  # the one before, only now reaped
                    os.kill(random_moment.choice(victims), signal.SIGKILL)
                    killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = dataset.run(slow, on=Processes(2), progress=False)
    finally:
        is_over.set()
        killer.join()
    assert killed
    assert (
        result.hist.view(flow=True).tobytes() == expected.hist.view(flow=True).tobytes()
    )
    assert [c.index for c in result.provenance.chunks] == list(range(21))


def test_a_chunk_that_kills_every_process_is_named(ttree, tmp_path):
    def deadly(events, tries=str(tmp_path / "tries")):
        import os
        import signal
        from pathlib import Path

        if len(events) and events._start == 300:
            with Path(tries).open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(
        ChunkError, match=r"entries 300\.\.400 .* 3 processes died .*SIGKILL"
    ) as caught:
        Dataset(ttree, chunk_events=100).run(deadly, on=Processes(2), progress=False)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "tries").read_text() == DEATHS * "x"


def test_processes_that_cannot_start_are_given_up(ttree, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(
        FacilityError, match="8 processes died while they started .*exit code 1"
    ):
        Dataset(ttree).run(len, on=Processes(2), progress=False)
    assert "encodings" in capfd.readouterr().err


def test_errors_keep_their_kind_and_their_traceback(ttree):
    def late(events):
        return len(events.Muon_Pt if len(events) else events.nMuon)

    with pytest.raises(MissingBranchError, match="did you mean Muon_pt"):
        Dataset(ttree).run(late, on=Processes(1), progress=False)

    def fails(events):
        return 1 / (len(events) == 0)

    with pytest.raises(ChunkError, match=r"entries .*ZeroDivisionError") as caught:
        Dataset(ttree).run(fails, on=Processes(1), progress=False)
    assert "in fails" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (lambda e: (n for n in range(len(e))), "cannot be sent back"),
        (lambda e: None, "did it forget to return"),
    ],
)
def test_what_cannot_be_a_result_is_one_clear_line(ttree, analysis, message):
    with pytest.raises(FacilityError, match=message) as caught:
        Dataset(ttree).run(analysis, on=Processes(1), progress=False)
    assert "\n" not in str(caught.value)


@pytest.fixture
def interruptible():
    """As Python has it, unless a shell that runs tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_ends_what_computes(ttree, tmp_path):
    def endless(events, folder=str(tmp_path)):
        import os
        import time
        from pathlib import Path

        if len(events):
            Path(folder, str(os.getpid())).touch()
            time.sleep(600)
        return 0

    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        # Raised in this thread it would not end what the main thread waits for.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        Dataset(ttree, chunk_events=100).run(endless, on=Processes(2), progress=False)


def test_a_killed_owner_leaves_no_process(ttree):
    script = textwrap.dedent(
        f"""
        from facility.columnar import Dataset
        def endless(events):
            import os, time
            if len(events):
                print(os.getpid(), flush=True)
                time.sleep(600)
            return 0
        Dataset({str(ttree)!r}).run(endless, on="processes", progress=False)
        """
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    worker = identify(int(owner.stdout.readline()))
    assert worker.is_alive()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 30
    while worker.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_processes_are_refused():
    with pytest.raises(UsageError, match="at least 1, got 0"):
        Processes(0)
