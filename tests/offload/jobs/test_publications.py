"""What is to be published is recorded once, and handed over whatever is killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from dataclasses import replace

import pytest

from offload import zstd
from offload.jobs.agent.leases import LEASE_S, Leases, lease_uid
from offload.jobs.agent.leases import RENEWED_S as LEASE_RENEWED_S
from offload.jobs.agent.publishing import Publishing
from offload.jobs.agent.serving import Agent
from offload.jobs.cleaning import clean
from offload.jobs.errors import JobsError
from offload.jobs.ledger import Ledger
from offload.jobs.publications import RENEWED_S, Publications
from offload.jobs.stages import Outcome, Stage
from offload.snapshot import LocalStore
from offload.snapshot.images.image import read_image, write_image
from offload.snapshot.images.public import public_image
from offload.snapshot.layers.tar import END, header, padding
from offload.snapshot.model import Layer
from offload.snapshot.tree import Kind

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def publications(ledger: Ledger) -> Publications:
    return ledger.publications


def test_what_is_wanted_twice_is_one(publications):
    publications.want(ONE, "source")
    publications.want(TWO, "source")
    publications.want(ONE, "another")
    assert [(each.image, each.source) for each in publications.open()] == [
        (ONE, "source"),
        (TWO, "source"),
    ]


def test_what_was_handed_over_is_not_open_any_more(publications):
    publications.want(ONE, "source")
    publications.waits(ONE, "it is away")
    (waiting,) = publications.open()
    assert waiting.detail == "it is away"
    publications.handed_over(ONE)
    assert publications.open() == []
    publications.want(ONE, "source")
    assert publications.open() == []
    assert publications.all()[0].is_handed_over


def test_a_refusal_is_kept_with_its_reason(publications):
    publications.want(ONE, "source")
    publications.refused(ONE, "too many layers")
    (refused,) = publications.all()
    assert (refused.is_refused, refused.is_open) == (True, False)
    assert refused.detail == "too many layers"
    publications.forget(ONE)
    assert publications.all() == []


@pytest.mark.parametrize("how", ["handed_over", "refused"])
def test_after_long_it_is_tried_again(publications, clock, how):
    publications.want(ONE, "source")
    if how == "refused":
        publications.refused(ONE, "no")
    else:
        publications.handed_over(ONE)
    clock.now += RENEWED_S
    publications.want(ONE, "now")
    assert [each.source for each in publications.open()] == ["now"]


def test_a_ledger_of_before_is_brought_up_to_date(settings, add, ledger):
    job = add()
    ledger.close()
    with sqlite3.connect(settings.ledger) as old:
        old.execute("DROP TABLE publications")
        old.execute("ALTER TABLE jobs DROP COLUMN public")
        old.execute("UPDATE alembic_version SET version_num = '0001'")
    old.close()
    again = Ledger(settings.ledger)
    again.publications.want(ONE, "source")
    assert len(again.publications.open()) == 1
    assert again.open_jobs() == [job]
    assert again.public_images() == frozenset()
    again.close()


@pytest.fixture
def public(far, frozen):
    """The image of a snapshot that has a public layer, besides its code."""
    store = LocalStore(far.snapshots)
    image = read_image(store, frozen.image)
    layers = [replace(layer, is_public=True) for layer in image.layers[:1]]
    # As an index would have proven it, had it been asked.
    layers_known = {layers[0].digest: [True, time.time()]}
    known = {"indexes": list(far.public_indexes), "layers": layers_known}
    far.home.mkdir(parents=True, exist_ok=True)
    (far.home / "proven.json").write_text(json.dumps(known))
    return write_image(
        store, replace(image.snapshot, image=""), [*layers, *image.layers[1:]]
    )


def publishing(far, ledger: Ledger, **changes) -> Publishing:
    settings = far.model_copy(update={"publisher": DEAD, **changes})
    return Publishing(settings, ledger, LocalStore(far.snapshots))


async def run_until(runner: Publishing, condition) -> None:
    running = asyncio.create_task(runner.run())
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_one_that_is_away_is_waited_for_and_nothing_expected(far, ledger, public):
    runner = publishing(far, ledger)
    image = read_image(LocalStore(far.snapshots), public.image)
    runner.want(image)
    assert runner.is_expected(image)
    await run_until(runner, lambda: ledger.publications.all()[0].detail)
    (waiting,) = ledger.publications.open()
    assert "cannot be reached" in waiting.detail
    assert waiting.source == public.image
    assert not runner.is_expected(image)


async def test_a_token_that_others_can_read_is_not_shown(far, ledger, public, tmp_path):
    token = tmp_path / "token"
    token.write_text("root.abc")
    token.chmod(0o644)
    runner = publishing(far, ledger, publisher_token=token)
    runner.want(read_image(LocalStore(far.snapshots), public.image))
    await run_until(runner, lambda: ledger.publications.all()[0].detail)
    assert "is open to others" in ledger.publications.open()[0].detail


async def test_what_we_err_about_does_not_hold_up_the_others(
    far, ledger, public, monkeypatch
):
    runner = publishing(far, ledger)
    ledger.publications.want(ONE, TWO)
    runner.want(read_image(LocalStore(far.snapshots), public.image))
    hand_over = runner._hand_over

    def err(wanted):
        return 1 // 0 if wanted.image == ONE else hand_over(wanted)

    monkeypatch.setattr(runner, "_hand_over", err)
    await run_until(runner, lambda: ledger.publications.all()[1].detail)
    first, second = ledger.publications.open()
    assert "division" in first.detail
    assert "cannot be reached" in second.detail


async def test_what_was_collected_is_forgotten(far, ledger):
    ledger.publications.want(ONE, TWO)
    await run_until(publishing(far, ledger), lambda: not ledger.publications.all())


def with_wheel(far, image):
    """Return an image with one public layer more, that nobody has proven."""
    store = LocalStore(far.snapshots)
    wheel = b"Tag: py3-none-any\n"
    path = b"env/lib/python3.11/site-packages/thing-1.0.dist-info/WHEEL"
    archive = header(path, Kind.FILE, 0o644, len(wheel)) + wheel
    archive += padding(len(wheel)) + END
    blob = store.add(zstd.compress(archive))
    diff_id = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    more = Layer(blob.digest, blob.size, diff_id, is_public=True)
    found = write_image(store, replace(image.snapshot, image=""), [more, *image.layers])
    return read_image(store, found.image)


async def test_what_no_index_can_be_asked_about_waits(far, ledger, public):
    runner = publishing(far, ledger, public_indexes=(f"{DEAD}/simple",))
    image = with_wheel(far, read_image(LocalStore(far.snapshots), public.image))
    runner.want(image)
    await run_until(runner, lambda: ledger.publications.all()[0].detail)
    (waiting,) = ledger.publications.open()
    assert f"index {DEAD}/simple/thing/: cannot be reached" in waiting.detail
    assert waiting.published is None


@pytest.mark.parametrize("before", ["damaged", {"indexes": ["http://no.more"]}])
async def test_what_no_index_gives_out_is_never_published(far, ledger, public, before):
    path = far.home / "proven.json"
    if isinstance(before, dict):  # an index that was taken for public had it
        before = json.dumps(json.loads(path.read_bytes()) | before)
    path.write_text(before)
    runner = publishing(far, ledger)
    image = read_image(LocalStore(far.snapshots), public.image)
    assert runner.layers(image) != frozenset()
    runner.want(image)
    await run_until(runner, lambda: ledger.publications.all()[0].is_refused)
    assert "no public index gives out" in ledger.publications.all()[0].detail
    assert runner.layers(image) == frozenset()  # no site waits for it to appear
    again = publishing(far, ledger)
    assert again.layers(image) == frozenset()


async def test_only_what_is_proven_is_published_and_leased(far, ledger, public, add):
    store = LocalStore(far.snapshots)
    image = read_image(store, public.image)
    both = with_wheel(far, image)
    path = far.home / "proven.json"
    known = json.loads(path.read_bytes())
    path.write_text(json.dumps(known | {"indexes": []}))
    # No index has anything of it.
    runner = publishing(far, ledger, public_indexes=())
    claimed = runner.want(both)
    await run_until(runner, lambda: ledger.publications.all()[0].detail)
    (waiting,) = ledger.publications.open()
    assert waiting.image == claimed
    assert waiting.there == public_image(image).digest != claimed
    assert "cannot be reached" in waiting.detail  # the publisher
    job = add()
    ledger.advance(job, Stage.FROZEN, Stage.STORED, public=claimed)
    assert ledger.public_images() == {waiting.there}


def test_nothing_is_published_without_a_publisher(far, ledger, public):
    runner = publishing(far, ledger, publisher=None)
    image = read_image(LocalStore(far.snapshots), public.image)
    runner.want(image)
    assert ledger.publications.all() == []
    assert not runner.is_expected(image)


def test_what_waits_to_be_published_is_not_collected(far, public):
    store = LocalStore(far.snapshots)
    ledger = Ledger(far.ledger)
    ledger.publications.want(ONE, public.image)
    ledger.close()
    for path in (store.path / "blobs/sha256").iterdir():
        os.utime(path, (1, 1))
    clean(far, retention_s=0)
    assert store.has(public.image)


@pytest.mark.parametrize("seconds", [0.5, 100.0])
async def test_what_comes_by_itself_is_not_sent_unless_it_takes_too_long(
    far, site, public, spec_of, project, until_done, seconds, monkeypatch
):
    monkeypatch.setattr("offload.jobs.agent.patience.COMING_S", 3.0)
    site.behave(coming_s=seconds)
    store = LocalStore(far.snapshots)
    (layer,) = (x for x in read_image(store, public.image).layers if x.is_public)
    ledger = Ledger(far.ledger)
    where = {"root": str(project), "cwd": str(project)}
    job = ledger.add(spec_of(**where), snapshot=public.to_json(), image=public.image)
    ledger.close()
    agent = Agent(far)
    running = asyncio.create_task(agent.run())
    done = await until_done(job)
    agent.stop()
    await running
    assert done.outcome is Outcome.SUCCEEDED
    sent = set(site.effects("blob_complete"))
    assert (layer.digest in sent) == (seconds > 10)
    assert public.image in sent


class Publisher:
    """What one is told of leases, and whether it hears it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, frozenset[str], float]] = []
        self.is_away = False

    def __call__(self, uid, images, for_s) -> None:
        if self.is_away:
            raise JobsError("it is away")
        self.told.append((uid, frozenset(images), for_s))


def test_what_open_jobs_refer_to_is_leased_once_and_again_each_day(
    settings, add, ledger, clock
):
    first, second = add(), add()
    for job in (first, second):
        ledger.advance(job, Stage.FROZEN, Stage.STORED, public=ONE)
    publisher = Publisher()
    leases = Leases(settings, ledger, publisher, lambda: clock.now)
    for _ in range(3):
        leases.renew()
    uid = lease_uid(settings)
    assert publisher.told == [(uid, {ONE}, LEASE_S)]
    ledger.close_job(first)
    leases.renew()
    clock.now += LEASE_RENEWED_S
    leases.renew()
    assert publisher.told[1:] == [(uid, {ONE}, LEASE_S)]
    ledger.close_job(second)
    leases.renew()
    assert publisher.told[2:] == [(uid, frozenset(), LEASE_S)]
    # Who comes after one that was killed tells all of it.
    third = add()
    ledger.advance(third, Stage.FROZEN, Stage.STORED, public=TWO)
    Leases(settings, ledger, publisher, lambda: clock.now).renew()
    assert publisher.told[3:] == [(uid, {TWO}, LEASE_S)]


def test_a_publisher_that_is_away_is_told_when_it_is_back(settings, add, ledger, clock):
    publisher = Publisher()
    publisher.is_away = True
    leases = Leases(settings, ledger, publisher, lambda: clock.now)
    leases.renew()
    publisher.is_away = False
    ledger.advance(add(), Stage.FROZEN, Stage.STORED, public=ONE)
    leases.renew()
    assert publisher.told == []  # not before a while has passed
    clock.now += 3600
    leases.renew()
    assert [images for _, images, _ in publisher.told] == [{ONE}]


def test_ledgers_do_not_take_each_others_lease(settings):
    other = settings.model_copy(update={"facility_id": "another"})
    assert lease_uid(settings) != lease_uid(other)
    assert lease_uid(settings) == lease_uid(settings.model_copy())


def test_what_a_job_has_needed_lately_is_known(add, ledger, clock):
    over, lately, still = add(), add(), add()
    for job, image in ((over, ONE), (lately, TWO), (still, ONE)):
        ledger.advance(job, Stage.FROZEN, Stage.STORED, public=image)
    ledger.close_job(over)
    clock.now += 100
    ledger.close_job(lately)
    assert ledger.public_images() == {ONE}
    assert ledger.public_images(over_since=clock.now - 1) == {ONE, TWO}
    ledger.close_job(still)
    assert ledger.public_images(over_since=clock.now) == frozenset()


def test_names_in_a_registry_stay_where_nobody_knows_who_needs_them(far, ledger):
    ledger.publications.want(ONE, "source")
    ledger.publications.handed_over(ONE)
    registry = {"public_store": "http://127.0.0.1:9/people/environments"}
    later = time.time() + 10 * far.retention_s
    for changes in ({"publisher": None, **registry}, registry, {}):
        assert publishing(far, ledger, **changes).remove_old_tags(later) == 0
    assert len(ledger.publications.all()) == 1
