"""What follows for a pod, from every situation that a crash can leave behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.interlink import ContainerStatus
from offload.plugins.decisions import MISSES_UNTIL_LOST, Seen, choose, decide
from offload.plugins.executor import Job
from offload.plugins.facts import Done, Facts
from offload.plugins.records import Record, Stage
from offload.plugins.states import CODES, Life, meaning

NOW = 1000.0
RAN = {"main": ContainerStatus(name="main")}


def record(stage=Stage.SUBMITTED, **fields):
    defaults = {"submission": "s", "job": "7", "state": "RUNNING", "state_at": 900.0}
    if stage in {Stage.ACCEPTED, Stage.SUBMITTING}:
        defaults = {"submission": "s"}
    return Record(uid="u", accepted_at=0, stage=stage, **{**defaults, **fields})


def job(state, id_="7", nodes="n1", why=""):
    return Job(id_, f"slurm:{id_}", "s", 0, state, why, nodes)


def done(reason="", stop="", end=None, reasons=()):
    end = end or {"exitCode": 0, "reason": "Completed"}
    status = ContainerStatus.model_validate(
        {"name": "main", "state": {"terminated": end}}
    )
    return Done(statuses={"main": status}, reason=reason, stop=stop)


STOPPED = done(stop="Terminated", end={"exitCode": 143, "reason": "Terminated"})


def test_an_accepted_pod_waits_for_its_submission():
    assert (
        decide(record(Stage.ACCEPTED), Seen(), Facts(), NOW).record.stage == "accepted"
    )


def test_deleted_before_it_was_sent():
    decision = decide(record(Stage.ACCEPTED, is_unwanted=True), Seen(), Facts(), NOW)
    assert decision.record.stage is Stage.ENDED
    assert decision.record.ending.reason == "Cancelled"


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING"])
def test_a_job_of_unknown_submission_is_adopted(state):
    decision = decide(record(Stage.SUBMITTING), Seen([job(state)]), Facts(), NOW)
    assert (decision.record.stage, decision.record.job) == (Stage.SUBMITTED, "7")


def test_only_a_conclusive_query_says_that_nothing_was_submitted():
    early = Seen(is_complete=False)
    assert not decide(record(Stage.SUBMITTING), early, Facts(), NOW).is_unsettled
    assert decide(record(Stage.SUBMITTING), Seen(), Facts(), NOW).is_unsettled


def test_what_was_claimed_is_never_submitted_again():
    decision = decide(
        record(Stage.SUBMITTING), Seen(), Facts(allocation="slurm:7"), NOW
    )
    assert not decision.is_unsettled
    assert decision.record.stage is Stage.SUBMITTED


def test_deleted_while_nothing_was_submitted():
    decision = decide(record(Stage.SUBMITTING, is_unwanted=True), Seen(), Facts(), NOW)
    assert decision.record.stage is Stage.ENDED
    assert not decision.is_unsettled


@pytest.mark.parametrize(
    "state", [n for n in CODES.values() if meaning(n).life != "ended"]
)
def test_a_deleted_pod_is_cancelled_as_long_as_its_job_lives(state):
    decision = decide(record(is_unwanted=True), Seen([job(state)]), Facts(), NOW)
    assert decision.cancel == ("7",)
    assert decision.record.stage is Stage.SUBMITTED


def test_of_two_jobs_the_one_with_the_claim_stays():
    jobs = [job("RUNNING", "7"), job("PENDING", "8")]
    for claimed, other in (("7", "8"), ("8", "7")):
        facts = Facts(allocation=f"slurm:{claimed}")
        decision = decide(record(), Seen(jobs), facts, NOW)
        assert decision.record.job == claimed
        assert decision.cancel == (other,)


def test_of_two_jobs_without_a_claim_the_running_then_the_older_one_stays():
    assert choose([job("PENDING", "7"), job("RUNNING", "8")], Facts()).id == "8"
    assert choose([job("PENDING", "10"), job("PENDING", "9")], Facts()).id == "9"
    assert choose([job("COMPLETED", "7"), job("PENDING", "9")], Facts()).id == "9"
    assert choose([], Facts()) is None


def test_a_result_ends_the_pod_with_the_wrappers_word():
    decision = decide(record(), Seen([job("COMPLETED")]), Facts(done=done()), NOW)
    assert decision.record.stage is Stage.ENDED
    assert decision.record.ending is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [("PREEMPTED", "Preempted"), ("TIMEOUT", "DeadlineExceeded"),
     ("CANCELLED", "Cancelled"), ("NODE_FAIL", "NodeFail"), ("OUT_OF_MEMORY", "OOMKilled")],
)  # fmt: skip
def test_why_it_was_stopped_is_the_schedulers_word(state, reason):
    running = decide(record(), Seen([job("RUNNING")]), Facts(done=STOPPED), NOW)
    assert running.record.stage is Stage.SUBMITTED
    decision = decide(record(), Seen([job(state)]), Facts(done=STOPPED), NOW)
    assert decision.record.ending.reason == reason
    assert state in decision.record.ending.message


def test_a_kill_that_may_have_been_for_memory_waits_for_the_scheduler():
    killed = done(end={"exitCode": 137, "reason": "Error"})
    assert not killed.is_conclusive
    decision = decide(record(), Seen([job("OUT_OF_MEMORY")]), Facts(done=killed), NOW)
    assert decision.record.ending.reason == "OOMKilled"


@pytest.mark.parametrize("code", [137, 143])
def test_a_process_that_was_killed_by_its_own_kind_has_failed(code):
    killed = Facts(done=done(end={"exitCode": code, "reason": "Error"}))
    assert decide(record(), Seen([job("RUNNING")]), killed, NOW).record.stage != "ended"
    decision = decide(record(), Seen([job("FAILED")]), killed, NOW)
    assert decision.record.stage is Stage.ENDED
    assert decision.record.ending is None


def test_a_job_that_died_without_a_result_is_closed():
    facts = Facts(allocation="slurm:7", statuses=RAN)
    decision = decide(record(), Seen([job("TIMEOUT")]), facts, NOW)
    assert decision.collect.reason == "DeadlineExceeded"
    assert decision.record.stage is Stage.SUBMITTED  # until that is done


@pytest.mark.parametrize(("state", "wait_s"), [("COMPLETED", 10), ("PREEMPTED", 3)])
def test_a_result_may_take_a_moment_to_be_seen(state, wait_s):
    facts = Facts(allocation="slurm:7", statuses=RAN)
    first = decide(record(), Seen([job(state)]), facts, NOW)
    assert first.collect is None
    soon = decide(first.record, Seen([job(state)]), facts, NOW + wait_s - 0.1)
    assert soon.collect is None
    late = decide(first.record, Seen([job(state)]), facts, NOW + wait_s)
    assert late.collect is not None


def test_what_never_started_needs_no_closing():
    decision = decide(record(), Seen([job("CANCELLED", nodes="")]), Facts(), NOW)
    assert decision.record.stage is Stage.ENDED
    assert decision.record.ending.reason == "Cancelled"


def test_a_job_that_the_scheduler_forgot_is_lost_after_some_queries_only():
    facts = Facts(allocation="slurm:7", statuses=RAN)
    known = record()
    for _ in range(MISSES_UNTIL_LOST - 1):
        decision = decide(known, Seen(), facts, NOW)
        assert decision.collect is None
        assert decision.asks_history == ("7",)
        known = decision.record
    assert decide(known, Seen(), facts, NOW).collect.reason == "Lost"
    seen_again = decide(known, Seen([job("RUNNING")]), facts, NOW)
    assert seen_again.record.missed == 0


def test_an_old_query_says_nothing_about_a_job():
    decision = decide(record(), Seen(is_complete=False), Facts(), NOW)
    assert decision.record.missed == 0


def test_accounts_know_how_it_ended():
    facts = Facts(allocation="slurm:7", statuses=RAN)
    seen = Seen(history=Job("7", "", "", 0, "NODE_FAIL"))
    first = decide(record(), seen, facts, NOW)
    later = decide(first.record, seen, facts, NOW + 5)
    assert later.collect.reason == "NodeFail"


def test_an_array_element_that_vanished_from_the_queue_was_cancelled():
    known = record(state="PENDING", missed=MISSES_UNTIL_LOST - 1)
    decision = decide(known, Seen(), Facts(), NOW)
    assert decision.record.ending.reason == "Cancelled"
    assert "somebody" in decision.record.ending.message
    deleted = decide(record(state="PENDING", is_unwanted=True), Seen(), Facts(), NOW)
    assert deleted.record.stage is Stage.ENDED


def test_nothing_follows_for_what_has_ended():
    ended = record(Stage.ENDED, is_unwanted=True)
    assert decide(ended, Seen([job("RUNNING")]), Facts(), NOW).record == ended


jobs_of = st.lists(
    st.builds(
        job, st.sampled_from(sorted(CODES.values())), st.sampled_from(["7", "8", "9"]),
        st.sampled_from(["", "n1"]),
    ),
    max_size=3,
    unique_by=lambda j: j.id,
)  # fmt: skip
facts_of = st.builds(
    Facts,
    allocation=st.sampled_from(["", "slurm:7", "slurm:8", "closed"]),
    done=st.sampled_from([None, done(), STOPPED]),
    statuses=st.sampled_from([{}, RAN]),
)
records_of = st.builds(
    record,
    st.sampled_from(list(Stage)),
    is_unwanted=st.booleans(),
    state=st.sampled_from(["", *CODES.values()]),
    missed=st.integers(0, 5),
)


@given(records_of, jobs_of, facts_of, st.booleans())
def test_invariants(known, jobs, facts, is_complete):
    decision = decide(known, Seen(jobs, is_complete=is_complete), facts, NOW)
    after = decision.record
    is_active = known.stage in {Stage.SUBMITTING, Stage.SUBMITTED}
    assert after.is_unwanted == known.is_unwanted
    living = {j.id for j in jobs if j.life is not Life.ENDED}
    # Only what lives is cancelled; nothing that has ended comes back.
    assert set(decision.cancel) <= living
    if known.stage is Stage.ENDED:
        assert after == known
    # Asked for again only if nothing exists that could have run it.
    if decision.is_unsettled:
        assert not jobs
        assert not facts.allocation
        assert not known.is_unwanted
    # No pod ends, or is closed, while its own job may still run.
    if is_active and (after.stage is Stage.ENDED or decision.collect):
        kept = choose(jobs, facts)
        assert kept is None or kept.life is Life.ENDED
    # Whoever does not want it leaves no living job without a cancellation.
    if known.is_unwanted and is_active:
        assert living <= set(decision.cancel)
    # The same input again changes nothing more, but counts of misses.
    again = decide(after, Seen(jobs, is_complete=is_complete), facts, NOW).record
    assert again.changed(missed=0) == after.changed(missed=0) or not jobs
