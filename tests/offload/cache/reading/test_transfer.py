"""Transfers: from who answers, continued where they broke off, never kept as absent."""

import socket
import threading
import time

import httpx
import pytest

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.reading import AbsentError, UnreachableError
from offload.cache.reading import transfer as module
from offload.cache.reading.outage import Outage
from offload.cache.reading.pace import Pace
from offload.cache.reading.routes import Route, Routes
from offload.cache.reading.transfer import Transfer


@pytest.fixture
def transfer():
    made = []

    def make(*urls, proxies=("DIRECT",)):
        made.append(Transfer(urls, proxies, 2))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def served(publisher):
    (publisher.public / "thing").write_bytes(bytes(range(256)) * 4000)
    return bytes(range(256)) * 4000


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_a_file_comes_through_a_proxy(transfer, origin, served):
    proxy = origin.url
    origin.url = "http://elsewhere.example/cvmfs/x"  # what a proxy is asked for
    assert transfer(origin.url, proxies=(proxy,)).get("thing", bytes) == served


def test_the_next_origin_and_the_next_proxy_are_tried(
    transfer, origin, served, closed_port
):
    dead = f"http://127.0.0.1:{closed_port}"
    for urls, proxies in [
        ((dead, origin.url), ("DIRECT",)),
        ((origin.url,), (dead, "DIRECT")),
        ((f"{origin.url}/nothing", origin.url), ("DIRECT",)),
    ]:
        assert transfer(*urls, proxies=proxies).get("thing", bytes) == served


def test_an_answer_that_breaks_off_is_continued(transfer, origin, served):
    origin.cut = lambda path, start: 300_000
    assert transfer(origin.url).get("thing", bytes) == served
    ranges = [h.get("Range") for h in origin.headers]
    assert ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_what_is_absent_is_asked_for_twice_and_again_next_time(
    transfer, origin, publisher
):
    asking = transfer(origin.url)
    with pytest.raises(AbsentError, match="/late: not there"):
        asking.get("late", bytes)
    assert [h.get("Cache-Control") for h in origin.headers] == [None, "no-cache"]
    (publisher.public / "late").write_bytes(b"here")
    assert asking.get("late", bytes) == b"here"


def test_an_answer_that_never_ends_is_given_up(transfer, origin, served):
    with pytest.raises(DamagedObjectError, match="at most 5,000 bytes, got more"):
        transfer(origin.url).get("thing", bytes, most=5000)


def test_patience_outlasts_an_origin_that_starts_again(transfer, origin, served):
    port = origin.port
    origin.stop()
    asking = transfer(origin.url)
    with pytest.raises(UnreachableError, match="Connection refused"):
        asking.get("thing", bytes)
    timer = threading.Timer(0.3, origin.start, args=(port,))
    timer.start()
    assert asking.get("thing", bytes, patience_s=20.0) == served
    timer.join()


LONG_S = 600.0
"""Nobody waits for so long in a test: it would end before."""


@pytest.fixture
def looks_at_once(monkeypatch):
    monkeypatch.setattr("offload.cache.reading.outage.AGAIN_S", 0.0)


def test_after_one_has_waited_in_vain_nobody_waits_until_somebody_answers(
    transfer, origin, served, looks_at_once
):
    port = origin.port
    origin.stop()
    asking = transfer(origin.url)
    with pytest.raises(UnreachableError, match="Connection refused"):
        asking.get("thing", bytes, patience_s=0.1)
    for path in ("one", "two", "thing"):
        with pytest.raises(UnreachableError, match="nobody answers, for a while now"):
            asking.get(path, bytes, patience_s=LONG_S)
    origin.start(port)
    assert asking.get("thing", bytes, patience_s=LONG_S) == served
    origin.stop()
    timer = threading.Timer(0.3, origin.start, args=(port,))
    timer.start()  # it is forgotten: the next short outage is not seen
    assert asking.get("thing", bytes, patience_s=LONG_S) == served
    timer.join()


def test_who_waits_gives_up_with_the_first_who_has_waited_in_vain(
    transfer, origin, looks_at_once
):
    origin.stop()
    asking = transfer(origin.url)
    problems = []

    def wait():
        with pytest.raises(UnreachableError, match="Connection refused") as caught:
            asking.get("thing", bytes, patience_s=LONG_S)
        problems.append(caught.value)

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    with pytest.raises(UnreachableError):
        asking.get("thing", bytes, patience_s=0.1)
    for thread in waiting:
        thread.join()
    assert len(problems) == 3


def test_who_has_waited_for_another_waits_no_more(transfer, origin):
    origin.stop()
    before = time.monotonic() - LONG_S
    with pytest.raises(UnreachableError, match="Connection refused"):
        transfer(origin.url).get("thing", bytes, patience_s=LONG_S, asked=before)


def test_one_file_that_cannot_be_had_is_no_outage(transfer, origin, served):
    origin.refuses = lambda path, headers: 500 if path == "/broken" else None
    asking = transfer(origin.url)
    with pytest.raises(UnreachableError, match="answers 500"):
        asking.get("broken", bytes, patience_s=0.1)
    assert asking.get("thing", bytes, patience_s=LONG_S) == served
    assert origin.requests["/.cvmfspublished"] == 1


def test_in_an_outage_a_proxy_gives_what_it_has(transfer, origin, served):
    def refuses(path, headers):
        is_kept = path.endswith("/thing")
        if headers.get("Cache-Control") == "only-if-cached":
            return None if is_kept else 504
        return 503

    origin.refuses = refuses
    proxy, origin.url = origin.url, "http://elsewhere.example"
    asking = transfer(origin.url, proxies=(proxy,))
    with pytest.raises(UnreachableError, match="answers 503"):
        asking.get("other", bytes, patience_s=0.1)
    assert asking.get("thing", bytes, patience_s=LONG_S) == served
    with pytest.raises(UnreachableError, match="nobody answers"):
        asking.get("other", bytes, patience_s=LONG_S)
    origin.stop()  # a proxy that is not there any more is not asked for long, either
    with pytest.raises(UnreachableError, match="nobody answers"):
        asking.get("thing", bytes, patience_s=LONG_S)


def test_a_proxy_whose_origin_is_silent_gives_what_it_has(
    transfer, origin, served, monkeypatch
):
    monkeypatch.setattr(module, "_LOOK_TIMEOUT", httpx.Timeout(1.0))
    ended = threading.Event()
    silent = {"no-cache"}

    def refuses(path, headers):
        wanted = headers.get("Cache-Control")
        if wanted in silent and not path.endswith("/other"):
            ended.wait()
        return None if wanted == "only-if-cached" else 503

    origin.refuses = refuses
    proxy, origin.url = origin.url, "http://elsewhere.example"
    asking = transfer(origin.url, proxies=(proxy,))
    with pytest.raises(UnreachableError, match="answers 503"):
        asking.get("other", bytes, patience_s=0.1)
    assert asking.get("thing", bytes, patience_s=LONG_S) == served
    silent.add("only-if-cached")  # it is the proxy that hangs: it is asked once more
    for _ in range(2):
        with pytest.raises(UnreachableError, match="nobody answers"):
            asking.get("thing", bytes, patience_s=LONG_S)
    assert origin.requests["/thing"] == 2
    ended.set()


def test_an_outage_is_looked_at_now_and_then():
    outage = Outage()
    assert not outage.is_known
    assert not outage.is_due(0.0)
    outage.suspect(10.0)
    assert outage.is_known
    assert outage.is_due(10.0)
    outage.looked(11.0, is_answered=False)
    outage.suspect(12.0)  # again: that changes nothing
    assert [outage.is_due(now) for now in (12.0, 13.9, 14.0)] == [False, False, True]
    outage.looked(14.5, is_answered=True)
    assert not outage.is_known


@pytest.mark.parametrize("status", [301, 403, 500, 503])
def test_other_answers_are_nobody_answering(transfer, origin, status):
    origin.status = status
    with pytest.raises(UnreachableError, match=f"answers {status}"):
        transfer(origin.url).get("thing", bytes)


def test_routes_that_fail_wait_longer_each_time():
    routes = Routes(["a", "b"], ["p", None])
    first = Route("a", "p")
    others = (Route("b", "p"), Route("a", None), Route("b", None))
    assert routes.usable(0.0) == (first, *others)
    now, waits = 0.0, []
    for _ in range(8):
        routes.failed(first, now)
        begun = now
        while first not in routes.usable(now):
            assert routes.usable(now) == others
            now += 0.25
        waits.append(now - begun)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    routes.failed(first, now)
    routes.worked(first)
    assert routes.usable(now)[0] == first
    assert str(first) == "a through p"


def test_the_pace_is_learnt_from_small_and_large_answers():
    pace = Pace()
    for _ in range(100):
        pace = pace.after(2000, 0.022).after(10_000_000, 1.022)
    assert pace.delay_s == pytest.approx(0.022, rel=0.01)
    assert pace.rate == pytest.approx(1e7, rel=0.01)
    assert (pace.requests, pace.transferred) == (200, 100 * 10_002_000)
