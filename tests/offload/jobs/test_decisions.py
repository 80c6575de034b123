import pytest

from offload.jobs.decisions import (
    Await,
    Close,
    Create,
    End,
    Finish,
    Place,
    Remove,
    Return,
    Store,
    Transfer,
    View,
    Withdraw,
    decide,
)
from offload.jobs.model import Element, Job
from offload.jobs.specification import job_spec
from offload.jobs.stages import Outcome, Stage

SPEC = job_spec(command=("true",), root="/p", cwd="/p")
BEFORE_SENT = "cancelled before it was sent"


def element(stage: Stage, index: int = 0, **more: bool) -> Element:
    return Element(1, index, f"u{index}", stage, {}, **more)


def job(stage: Stage, site: str | None = None, id_: int = 1, outcomes=None) -> Job:
    return Job(
        id_, "g", SPEC, "sha256:1", stage, {}, {stage: 1}, outcomes or {}, site=site
    )


def view(*elements: Element, before: tuple[Job, ...] = ()) -> View:
    stage = elements[0].stage if elements else Stage.DONE
    site = None if stage in {Stage.FROZEN, Stage.STORED} else "far"
    return View(job(stage, site), elements, {other.id: other for other in before})


OPEN = job(Stage.RUNNING, "far", 7)
GOOD = job(Stage.DONE, "far", 8, {Outcome.SUCCEEDED: 2})
BAD = job(Stage.DONE, "far", 9, {Outcome.SUCCEEDED: 1, Outcome.TIMED_OUT: 1})

F, ST, P, T, Q, RU, RE, D = Stage


@pytest.mark.parametrize(
    ("seen", "actions"),
    [
        pytest.param(view(), [Close()], id="settled"),
        pytest.param(view(element(F)), [Store()], id="frozen"),
        pytest.param(view(element(F), before=(GOOD,)), [Store()], id="after-done"),
        pytest.param(
            view(element(F), before=(GOOD, OPEN)),
            [Await("comes after job 7")],
            id="after-open",
        ),
        pytest.param(
            view(element(F), element(F, 1), before=(OPEN, BAD)),
            [
                Finish(
                    (0, 1),
                    Outcome.CANCELLED,
                    "job 9, which it comes after, ended: timed_out",
                )
            ],
            id="after-failed",
        ),
        pytest.param(view(element(ST)), [Place()], id="stored"),
        pytest.param(view(element(P)), [Transfer("far")], id="placed"),
        pytest.param(view(element(T)), [Create("far", (0,))], id="transferred"),
        pytest.param(
            view(element(T, is_sent=True)), [Create("far", (0,))], id="unanswered"
        ),
        pytest.param(view(element(Q, is_sent=True)), [], id="queued"),
        pytest.param(view(element(RU, is_sent=True)), [], id="running"),
        pytest.param(
            view(element(RE, is_sent=True)), [Return("far", 0)], id="returning"
        ),
        pytest.param(
            view(element(RE, is_sent=True, is_cancelled=True)),
            [Return("far", 0)],
            id="returning-cancelled",
        ),
        pytest.param(view(element(D, is_sent=True)), [Remove("far", (0,))], id="done"),
        *(
            pytest.param(
                view(element(stage, is_cancelled=True)),
                [Finish((0,), Outcome.CANCELLED, BEFORE_SENT)],
                id=f"cancelled-{stage}",
            )
            for stage in (F, ST, P, T)
        ),
        pytest.param(
            view(element(T, is_sent=True, is_cancelled=True)),
            [Withdraw("far", (0,))],
            id="cancelled-unanswered",
        ),
        pytest.param(
            view(element(P, is_sent=True, is_cancelled=True)),
            [Transfer("far")],
            id="cancelled-while-sent-again",
        ),
        *(
            pytest.param(
                view(element(stage, is_sent=True, is_cancelled=True)),
                [End("far", (0,))],
                id=f"cancelled-{stage}",
            )
            for stage in (Q, RU)
        ),
        pytest.param(
            view(
                element(T, 0),
                element(T, 1, is_cancelled=True),
                element(T, 2, is_sent=True, is_cancelled=True),
                element(Q, 3, is_sent=True),
                element(RU, 4, is_sent=True, is_cancelled=True),
                element(RE, 5, is_sent=True),
                element(RE, 6, is_sent=True),
                element(D, 7, is_sent=True),
                element(D, 8, is_sent=True),
            ),
            [
                Finish((1,), Outcome.CANCELLED, BEFORE_SENT),
                Withdraw("far", (2,)),
                Create("far", (0,)),
                End("far", (4,)),
                Return("far", 5),
                Return("far", 6),
                Remove("far", (7, 8)),
            ],
            id="all-at-once",
        ),
    ],
)
def test_what_is_done_next_follows_from_how_things_are(seen, actions) -> None:
    assert decide(seen) == actions
    assert decide(seen) == actions, "looking changes nothing"


def test_no_stage_is_a_dead_end() -> None:
    for stage in Stage:
        for is_sent in (False, True):
            if stage.is_at_site and not is_sent:
                continue
            found = decide(view(element(stage, is_sent=is_sent, is_cancelled=True)))
            assert found or (stage is D and not is_sent), stage
