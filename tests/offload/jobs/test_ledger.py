import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from offload.jobs.changes import Gone, Observed
from offload.jobs.errors import NoSuchJobError
from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.site_reports import SiteReport
from offload.jobs.stages import Outcome, Stage

RAN = Observed(Stage.RETURNING, outcome=Outcome.SUCCEEDED, exit_code=0, started=5.0)


def to_site(ledger: Ledger, job: JobId) -> None:
    for before, after in (
        (Stage.FROZEN, Stage.STORED),
        (Stage.STORED, Stage.PLACED),
        (Stage.PLACED, Stage.TRANSFERRED),
    ):
        values = {"site": "here"} if after is Stage.PLACED else {}
        assert ledger.advance(job, before, after, **values)


def sent(ledger: Ledger, job: JobId, *, accepted: bool = True) -> list[str]:
    to_site(ledger, job)
    elements = ledger.unsettled(job)
    ledger.sending(job, [e.index for e in elements])
    if accepted:
        ledger.accepted(job, {e.index: f"s{e.index}" for e in elements})
    return [e.uid for e in elements]


def test_a_job_passes_every_stage_with_its_time(ledger, add) -> None:
    job = add()
    (uid,) = sent(ledger, job)
    running = Observed(Stage.RUNNING, site_id="77", started=5.0)
    assert ledger.observe({uid: running}) == {job}
    assert ledger.observe({uid: running}) == set()
    assert ledger.observe({uid: RAN}) == {job}
    assert ledger.finish(job, [0], [Stage.RETURNING], report=["a conflict"]) == 1
    found = ledger.job(job, with_elements=True)
    assert list(found.times) == list(Stage)
    assert sorted(found.times.values()) == list(found.times.values())
    assert (found.stage, found.outcome) == (Stage.DONE, Outcome.SUCCEEDED)
    (element,) = found.elements
    assert (element.exit_code, element.report) == (0, ("a conflict",))
    assert element.site_id == "77"


def test_a_change_applies_only_where_the_caller_believes_the_job_to_be(
    ledger, add
) -> None:
    job = add()
    assert ledger.advance(job, Stage.FROZEN, Stage.STORED)
    assert not ledger.advance(job, Stage.FROZEN, Stage.STORED)
    assert not ledger.advance(job, Stage.PLACED, Stage.TRANSFERRED)
    assert ledger.finish(job, [0], [Stage.QUEUED], outcome=Outcome.LOST) == 0
    assert ledger.job(job).stage is Stage.STORED


def test_what_has_ended_stays_ended(ledger, add) -> None:
    job = add()
    (uid,) = sent(ledger, job)
    ledger.observe({uid: RAN})
    assert ledger.observe({uid: Observed(Stage.RUNNING)}) == set()
    assert ledger.observe({"somebody-else": RAN}) == set()


def test_what_is_gone_was_cancelled_or_is_lost(ledger, add) -> None:
    # The person may have cancelled after the site was asked and before it answered.
    job = add(count=2)
    uids = sent(ledger, job)
    ledger.cancel(job, 0)
    assert ledger.observe(dict.fromkeys(uids, Gone())) == {job}
    first, second = ledger.unsettled(job)
    assert (first.stage, first.outcome) == (Stage.RETURNING, Outcome.CANCELLED)
    assert (second.stage, second.outcome) == (Stage.RETURNING, Outcome.LOST)
    ledger.cancel(job)
    assert ledger.observe(dict.fromkeys(uids, Gone())) == set()


def test_what_was_not_accepted_cannot_be_gone(ledger, add) -> None:
    job = add()
    (uid,) = sent(ledger, job, accepted=False)
    assert ledger.observe({uid: Gone()}) == set()


def test_a_requeued_job_is_queued_again_under_the_same_uid(ledger, add) -> None:
    job = add()
    (uid,) = sent(ledger, job)
    ledger.observe({uid: Observed(Stage.RUNNING, started=5.0)})
    ledger.observe({uid: Observed(Stage.QUEUED, message="requeued")})
    (element,) = ledger.unsettled(job)
    assert (element.stage, element.message) == (Stage.QUEUED, "requeued")


def test_a_thousand_elements_are_one_submission(ledger, add) -> None:
    job = add(count=1000)
    uids = sent(ledger, job)
    assert len(set(uids)) == 1000
    ledger.observe(dict.fromkeys(uids[:400], Observed(Stage.RUNNING)))
    found = ledger.job(job)
    assert found.counts == {Stage.QUEUED: 600, Stage.RUNNING: 400}
    assert found.stage is Stage.QUEUED
    assert ledger.load_of_sites() == {"here": 1000}
    assert len(ledger.at_site("here")) == 1000


def test_the_outcome_of_many_is_the_worst(ledger, add) -> None:
    job = add(count=3)
    uids = sent(ledger, job)
    failed = Observed(Stage.RETURNING, outcome=Outcome.FAILED, message="exit code 3")
    ledger.observe({uids[0]: RAN, uids[1]: failed, uids[2]: RAN})
    ledger.finish(job, [0, 1, 2], [Stage.RETURNING])
    found = ledger.job(job)
    assert found.outcome is Outcome.FAILED
    assert found.outcomes == {Outcome.SUCCEEDED: 2, Outcome.FAILED: 1}
    assert found.message == "exit code 3"


@pytest.mark.parametrize(
    ("index", "expected"), [(None, [True, True, True]), (1, [False, True, False])]
)
def test_cancelling_marks_what_is_not_done(ledger, add, index, expected) -> None:
    job = add(count=3)
    assert ledger.cancel(job, index)
    assert not ledger.cancel(job, index)
    assert [e.is_cancelled for e in ledger.unsettled(job)] == expected
    assert ledger.job(job).is_cancelled == (index is None)


def test_nothing_cancelled_is_sent(ledger, add) -> None:
    job = add(count=3)
    to_site(ledger, job)
    ledger.cancel(job, 1)
    assert ledger.sending(job, [0, 1, 2]) == [0, 2]
    assert [e.is_sent for e in ledger.unsettled(job)] == [True, False, True]


def test_elements_settle_once_the_site_has_confirmed(ledger, add) -> None:
    job = add(count=2)
    uids = sent(ledger, job)
    ledger.observe(dict.fromkeys(uids, RAN))
    ledger.finish(job, [0, 1], [Stage.RETURNING])
    assert [e.index for e in ledger.unsettled(job)] == [0, 1]
    ledger.removed(job, [0])
    assert [e.index for e in ledger.unsettled(job)] == [1]
    ledger.removed(job, [1])
    assert ledger.unsettled(job) == []
    assert ledger.open_jobs() == [job]
    ledger.close_job(job)
    assert ledger.open_jobs() == []


def test_unknown_jobs_are_refused_in_one_line(ledger, add) -> None:
    with pytest.raises(NoSuchJobError, match=r"^job 7: there is no such job"):
        ledger.job(JobId(7))
    with pytest.raises(NoSuchJobError, match=r"^--after 9: there is no such job"):
        add(after=("9",))
    with pytest.raises(NoSuchJobError, match=r"^job 1\.5: there is no such job"):
        ledger.cancel(add(), 5)


def test_ids_are_not_used_again(ledger, add) -> None:
    assert [add(), add(), add()] == [1, 2, 3]


def test_what_is_known_of_a_site_is_kept_while_it_is_away(ledger) -> None:
    ledger.sites.record(SiteReport("here", "ready", info='{"site": "x"}'))
    ledger.sites.record(SiteReport("here", "away", "no route", until=9.0))
    site = ledger.sites.all()["here"]
    assert (site.state, site.detail, site.until) == ("away", "no route", 9.0)
    assert site.info == '{"site": "x"}'


def test_the_file_is_the_persons_own(ledger, settings) -> None:
    assert stat.S_IMODE(settings.ledger.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    with closing(sqlite3.connect(settings.ledger)) as connection:
        mode = connection.execute("pragma journal_mode").fetchone()
        version = connection.execute("select version_num from alembic_version")
        assert (*mode, *version.fetchone()) == ("wal", "0003")


def test_others_notice_a_change_by_its_version(ledger, settings, add) -> None:
    with closing(Ledger(settings.ledger)) as reader:
        before = reader.version()
        assert reader.version() == before
        add()
        assert reader.version() != before


def test_threads_that_race_move_a_job_once(ledger, add) -> None:
    job = add()

    def move(_: int) -> bool:
        return ledger.advance(job, Stage.FROZEN, Stage.STORED)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(24))) == 1


PROCESS = """
import sys
from pathlib import Path
from offload.jobs.ledger import Ledger
from offload.jobs.specification import job_spec

print("ready", flush=True)
input()
spec = job_spec(command=["true"], root="/p", cwd="/p", count=20)
for _ in range(5):
    Ledger(Path(sys.argv[1])).add(spec, snapshot="{}", image="sha256:1")
"""


def test_processes_that_make_the_file_at_once_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with closing(Ledger(path)) as ledger:
        assert [job.id for job in ledger.jobs()] == list(range(20, 0, -1))
        assert all(job.counts == {Stage.FROZEN: 20} for job in ledger.jobs())


def test_nobody_else_enters_the_folder_whoever_made_it(settings) -> None:
    settings.home.mkdir(mode=0o755)
    Ledger(settings.ledger).close()
    assert settings.home.stat().st_mode & 0o777 == 0o700
    assert settings.ledger.stat().st_mode & 0o777 == 0o600
