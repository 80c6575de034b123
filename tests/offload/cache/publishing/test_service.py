"""What the publisher answers, to whom, and how what it serves may be kept."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.errors import NoSpaceError
from offload.cache.publishing import answers
from offload.cache.publishing.desk import Desk
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.references import Reference
from offload.cache.publishing.service import application
from offload.cache.publishing.settings import PublisherSettings, RegistrySettings
from offload.cache.publishing.status import Status
from offload.cache.publishing.tokens import site_token, token_of
from offload.cache.publishing.work import State
from offload.snapshot.model import Blob

FQRN = "images.example.org"
HERE = ("127.0.0.1", 40000)


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "keys"
    Keys.generate(FQRN, datetime.now(UTC)).save(folder, FQRN)
    return folder


@pytest.fixture
def make_desk(tmp_path: Path, keys_folder):
    made = []

    def make(**changes) -> Desk:
        folder = tmp_path / "repository"
        Repository(folder, FQRN, Keys.load(keys_folder, FQRN)).create()
        (tmp_path / "secret").write_text("hidden\n")
        (tmp_path / "key").write_text("of tokens\n")
        settings = PublisherSettings(
            fqrn=FQRN,
            port=1,
            folder=folder,
            keys=keys_folder,
            state=tmp_path / "state",
            event_secret=tmp_path / "secret",
            token_key=tmp_path / "key",
            admins=("root",),
            registries=(RegistrySettings(url="http://127.0.0.1:1"),),
            poll_s=1000,
        ).model_copy(update=changes)
        settings.save(tmp_path / "publisher.json")
        desk = Desk.of(PublisherSettings.load(tmp_path / "publisher.json"))
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.close()


@pytest.fixture
def desk(make_desk):
    return make_desk()


@asynccontextmanager
async def asking(desk, *, person: str | None = None, peer=HERE):
    headers = {}
    if person is not None:
        headers["Authorization"] = f"Bearer {token_of(person, 'of tokens')}"
    transport = httpx.ASGITransport(application(desk), client=peer)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://x", headers=headers
    ) as client:
        yield client


def event(tag="v1") -> bytes:
    target = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "repository": "env",
        "tag": tag,
    }
    return json.dumps({"events": [{"action": "push", "target": target}]}).encode()


async def test_an_event_with_the_secret_is_written_down(desk):
    headers = {"Authorization": "Bearer hidden"}
    async with asking(desk) as client:
        answer = await client.post("/events", content=event(), headers=headers)
        named = await client.post(
            "/events/127.0.0.1:1", content=event("v2"), headers=headers
        )
    assert (answer.status_code, named.status_code) == (202, 202)
    known = {str(entry.reference) for entry in desk.queue.entries()}
    assert known == {"127.0.0.1:1/env:v1", "127.0.0.1:1/env:v2"}


async def test_an_event_that_is_signed_is_written_down(desk):
    signature = hmac.new(b"hidden", event(), hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}"}
    async with asking(desk) as client:
        answer = await client.post("/events", content=event(), headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/events", event(), {}, 401),
        ("/events", event(), {"Authorization": "Bearer wrong"}, 401),
        ("/events/other", event(), {"Authorization": "Bearer hidden"}, 400),
        ("/events", b" " * (5 << 20), {"Authorization": "Bearer hidden"}, 400),
    ],
)
async def test_other_events_are_refused_in_one_line(path, body, headers, status, desk):
    async with asking(desk) as client:
        answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "\n" not in answer.json()["detail"]
    assert "hidden" not in answer.text
    assert desk.queue.entries() == ()


async def test_what_makes_no_sense_is_not_asked_for_again(desk, caplog):
    """A registry repeats what is refused, and holds back all that comes after it."""
    headers = {"Authorization": "Bearer hidden"}
    async with asking(desk) as client:
        for body in (b"{}", b"nonsense", event("a b")):
            answer = await client.post("/events", content=body, headers=headers)
            assert answer.status_code == 202
            assert answer.json() == {"names": 0, "left_out": 1}
    assert desk.queue.entries() == ()
    assert "makes no sense" in caplog.text


async def test_who_is_too_slow_is_told_so(desk, monkeypatch):
    async def forever():
        yield b"{"
        await asyncio.sleep(60)

    monkeypatch.setattr(answers, "_PIECE_S", 0.01)
    headers = {"Authorization": "Bearer hidden"}
    async with asking(desk) as client:
        answer = await client.post("/events", content=forever(), headers=headers)
        stranger = await client.post("/events", content=forever())
    assert (answer.status_code, answer.headers["Connection"]) == (408, "close")
    assert stranger.status_code == 401  # nobody waits for the body of a stranger


async def test_an_image_is_handed_over_piece_by_piece(desk, make_tar, make_image):
    image = make_image(make_tar(("a", b"x" * 5000)), annotations={PUBLIC: "1"})
    wanted = [{"digest": d, "size": len(b)} for d, b in image.blobs.items()]
    async with asking(desk, person="anna") as client:
        early = await client.put(
            f"/inbox/images/{image.digest}", content=image.manifest
        )
        assert early.status_code == 404
        answer = await client.post("/inbox/missing", json={"blobs": wanted})
        assert [each["offset"] for each in answer.json()["missing"]] == [0, 0]
        for digest, data in image.blobs.items():
            for start in range(0, len(data), 100):
                sent = await client.patch(
                    f"/inbox/blobs/{digest}",
                    content=data[start : start + 100],
                    headers={
                        "Upload-Offset": str(start),
                        "Upload-Length": str(len(data)),
                    },
                )
            assert sent.status_code == 201
        taken = await client.put(
            f"/inbox/images/{image.digest}", content=image.manifest
        )
        assert (taken.status_code, taken.json()["state"]) == (202, "waiting")
        desk.worker.start()
        answer = await client.get(f"/images/{image.digest}", params={"wait_s": 30})
        await _stop(desk)
        assert answer.json()["state"] == "published"
        again = await client.post("/inbox/missing", json={"blobs": wanted[1:]})
        assert again.json() == {"missing": []}


async def _stop(desk) -> None:
    await asyncio.to_thread(desk.worker.stop)


async def test_a_wrong_offset_says_where_to_go_on(desk):
    digest = f"sha256:{hashlib.sha256(b'abcdef').hexdigest()}"
    headers = {"Upload-Offset": "0", "Upload-Length": "6"}
    async with asking(desk, person="anna") as client:
        url = f"/inbox/blobs/{digest}"
        assert (
            await client.patch(url, content=b"abc", headers=headers)
        ).status_code == 204
        answer = await client.patch(url, content=b"abc", headers=headers)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "3")
        headers["Upload-Offset"] = "3"
        wrong = await client.patch(url, content=b"xyz", headers=headers)
        assert wrong.status_code == 422
        missing = {"blobs": [{"digest": digest, "size": 6}]}
        answer = await client.post("/inbox/missing", json=missing)
        assert answer.json()["missing"][0]["offset"] == 0


async def test_what_does_not_fit_into_the_inbox_is_refused(make_desk):
    desk = make_desk(inbox_bytes=10)
    headers = {"Upload-Offset": "0", "Upload-Length": "11"}
    async with asking(desk, person="anna") as client:
        answer = await client.patch(
            f"/inbox/blobs/sha256:{'a' * 64}", content=b"x", headers=headers
        )
    assert answer.status_code == 507


async def test_one_person_does_not_get_all_of_the_inbox(make_desk):
    desk = make_desk(inbox_bytes=1000)
    blobs = {name: f"/inbox/blobs/sha256:{name * 64}" for name in "abc"}
    headers = {"Upload-Offset": "0", "Upload-Length": "300"}
    for person, name, status in (
        ("anna", "a", 204),
        ("anna", "b", 507),
        ("berta", "c", 204),
        ("anna", "a", 204),
    ):
        async with asking(desk, person=person) as client:
            answer = await client.patch(blobs[name], content=b"", headers=headers)
        assert answer.status_code == status
        if status == 507:
            assert answer.headers["Content-Type"] == "application/problem+json"
            told = answer.json()
            assert told["title"] == "ShareError"
            assert "anna has 300 in it and asks for 300 more" in told["detail"]


@pytest.mark.parametrize(("person", "crashes"), [("anna", 1), ("root", 0)])
async def test_who_runs_it_can_have_an_image_tried_that_ended_it(
    person, crashes, make_desk
):
    desk = make_desk()
    desk.queue.ask([Reference("h", "env", "v1")], 0.0)
    desk.queue.take(time.time())
    desk.queue.recover(time.time())
    async with asking(desk, person=person) as client:
        answer = await client.post("/names", json={"name": "h/env:v1"})
    assert answer.status_code == 202
    assert desk.queue.take(time.time()).crashes == crashes


CHANGING = [
    ("POST", "/inbox/missing"),
    ("PATCH", f"/inbox/blobs/sha256:{'a' * 64}"),
    ("PUT", f"/inbox/images/sha256:{'a' * 64}"),
    ("POST", "/names"),
    ("PUT", f"/pins/1/sha256:{'a' * 64}"),
    ("PUT", "/leases/1"),
    ("PUT", f"/bundles/sha256:{'a' * 64}"),
    ("PUT", f"/reports/sha256:{'a' * 64}"),
    ("DELETE", "/pins/1"),
    ("DELETE", f"/needs/sha256:{'a' * 64}"),
    ("DELETE", "/names/h/env:v1"),
    ("POST", "/rollback"),
    ("POST", "/collect"),
]


@pytest.mark.parametrize("token", [None, "root.0000", "anna", ".", "caf\xe9"])
async def test_who_has_no_token_changes_nothing(token, desk):
    headers = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}".encode("latin-1")
    async with asking(desk) as client:
        for method, path in CHANGING:
            answer = await client.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/names/h/env:v1", None),
        ("POST", "/rollback", {"tag": "revision-1"}),
        ("POST", "/collect", {}),
        ("POST", "/collect", {"at_once": True}),
    ],
)
async def test_only_administrators_remove(method, path, body, desk):
    async with asking(desk, person="anna") as client:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 401
    async with asking(desk, person="root") as client:
        answer = await client.request(method, path, json=body)
        assert answer.status_code in {200, 400}


async def test_a_refused_name_can_be_taken_off_the_list(desk):
    name = Reference.parse("unknown.example.org/env:v1")
    desk.queue.ask([name], 1.0)
    async with asking(desk, person="root") as client:
        waits = await client.delete(f"/names/{name}")
        assert waits.status_code == 400
        work = desk.queue.take(2.0)
        desk.queue.answer(work, State.REFUSED, None, 3.0, detail="no registry of ours")
        assert (await client.delete(f"/names/{name}")).status_code == 200
        assert (await client.get("/images")).json() == {"images": []}


async def test_a_refused_name_that_is_pushed_while_it_is_taken_off_is_looked_at(
    desk, monkeypatch
):
    name = Reference.parse("unknown.example.org/env:v1")
    desk.queue.ask([name], 1.0)
    desk.queue.answer(desk.queue.take(2.0), State.REFUSED, None, 3.0)
    entry = desk.queue.entry

    def pushed_then(reference):
        found = entry(reference)
        desk.queue.ask([reference], time.time())
        return found

    monkeypatch.setattr(desk.queue, "entry", pushed_then)
    async with asking(desk, person="root") as client:
        assert (await client.delete(f"/names/{name}")).status_code == 200
    assert entry(name).asked_at > 3.0


@pytest.mark.parametrize("name", ["nope", "host/nope", "nope@x"])
def test_what_names_no_image_is_repeated_as_it_was_said(name):
    with pytest.raises(PublishingError, match=f"got '{name}'$"):
        Reference.parse(name)


async def test_who_is_on_no_configured_network_may_not_read(make_desk):
    desk = make_desk(networks=("10.0.0.0/8", "fd00::/8"))
    for peer, status in (
        (("10.1.2.3", 1), 200),
        (("fd00::1", 1), 200),
        (("::ffff:10.0.0.1", 1), 200),
        (("192.0.2.1", 1), 403),
        (HERE, 403),
    ):
        async with asking(desk, peer=peer) as client:
            answer = await client.get(f"/cvmfs/{FQRN}/.cvmfspublished")
            assert answer.status_code == status
            images = await client.get("/images")
            assert images.status_code == (200 if status == 200 else 401)


async def test_objects_are_kept_for_ever_and_control_files_for_a_moment(desk):
    head = desk.shelf.head()
    async with asking(desk) as client:
        url = f"/cvmfs/{FQRN}/{head.catalogue.path}"
        whole = await client.get(url)
        assert "immutable" in whole.headers["Cache-Control"]
        part = await client.get(url, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        beyond = await client.get(url, headers={"Range": "bytes=999999-"})
        assert beyond.status_code == 416
        assert (await client.head(url)).headers["Content-Length"] == str(
            len(whole.content)
        )
        same = {"If-None-Match": whole.headers["ETag"]}
        assert (await client.get(url, headers=same)).status_code == 304
        for name in (".cvmfspublished", ".cvmfswhitelist"):
            answer = await client.get(f"/cvmfs/{FQRN}/{name}")
            assert "max-age=1," in answer.headers["Cache-Control"]
            assert "Last-Modified" not in answer.headers
            same = {"If-None-Match": answer.headers["ETag"]}
            again = await client.get(f"/cvmfs/{FQRN}/{name}", headers=same)
            assert (again.status_code, again.content) == (304, b"")
        for name in (".cvmfs_last_snapshot", ".cvmfs_is_snapshotting"):
            assert (await client.get(f"/cvmfs/{FQRN}/{name}")).status_code == 200


ELSEWHERE = [
    "",
    "data",
    "data/00",
    "data/../../private/contents.sqlite",
    "../private/lock",
    "%2e%2e/private/lock",
    ".cvmfs/../../private/lock",
    ".cvmfs..",
    ".cvmfsx",
    "data/00/" + "0" * 38,
    "data/00/" + "0" * 38 + "Z",
]


async def test_nothing_else_is_served_and_no_proxy_keeps_that(desk):
    async with asking(desk) as client:
        for path in ELSEWHERE:
            answer = await client.get(f"/cvmfs/{FQRN}/{path}")
            assert answer.status_code == 404, path
            if answer.headers.get("Content-Type") != "application/json":
                assert answer.headers["Cache-Control"] == "no-store"


async def test_pins_are_each_persons_own(desk):
    image = f"sha256:{'a' * 64}"
    async with asking(desk, person="anna") as anna, asking(desk, person="bob") as bob:
        assert (await anna.put(f"/pins/job-1/{image}")).status_code == 200
        assert (await bob.delete("/pins/job-1")).json() == {"removed": 0}
        assert (await anna.get(f"/images/{image}")).json()["pins"] == ["anna/job-1"]
        assert (await anna.delete("/pins/job-1")).json() == {"removed": 1}
        bad = await anna.put(f"/pins/%2e%2e/{image}")
        assert bad.status_code in {400, 404}


async def test_who_runs_it_takes_back_what_everybody_keeps(desk):
    image, other = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    async with asking(desk, person="anna") as anna, asking(desk, person="root") as root:
        await anna.put(f"/pins/job-1/{image}")
        await anna.put("/leases/l", json={"images": [image, other], "for_s": 60})
        assert (await anna.delete(f"/needs/{image}")).status_code == 401
        assert (await root.delete(f"/needs/{image}")).json() == {"removed": 2}
    assert desk.pins.images() == {other}


async def test_a_site_may_report_and_nothing_else(desk):
    token = site_token("cluster", "of tokens")
    headers = {"Authorization": f"Bearer {token}"}
    async with asking(desk) as client:
        for method, path in CHANGING:
            answer = await client.request(method, path, headers=headers, content=b"{}")
            is_report = path.startswith("/reports/")
            assert answer.status_code == (404 if is_report else 401), path


async def test_leases_are_told_with_their_end_and_replaced_as_a_whole(desk):
    one, two = (f"sha256:{digit * 64}" for digit in "12")
    async with asking(desk, person="anna") as anna, asking(desk) as stranger:
        for images in ([one], [one, two], [two, two]):
            body = {"images": images, "for_s": 600}
            until = (await anna.put("/leases/jobs", json=body)).json()["until"]
        assert until == pytest.approx(time.time() + 600, abs=60)
        assert (await anna.get(f"/images/{one}")).json()["leases"] == []
        told = (await anna.get(f"/images/{two}")).json()
        assert told["leases"] == [["anna/jobs", until]]
        assert Status.of(told).leases == (("anna/jobs", until),)
        assert (await stranger.get(f"/images/{two}")).json()["leases"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"images": ["sha256:1"], "for_s": 1},
        {"images": [], "for_s": 0},
        {"images": [], "for_s": 1e9},
        {"images": [f"sha256:{n:064x}" for n in range(10_001)], "for_s": 1},
        {"images": []},
    ],
)
async def test_what_is_no_lease_is_refused(desk, body):
    async with asking(desk, person="anna") as anna:
        assert (await anna.put("/leases/jobs", json=body)).status_code == 400
        good = {"images": [], "for_s": 1}
        assert (await anna.put("/leases/%20", json=good)).status_code == 400


async def test_waiting_for_what_nobody_has_ends(desk):
    async with asking(desk) as client:
        begin = time.monotonic()
        answer = await client.get("/images/h/env:v1", params={"wait_s": 0.2})
    assert answer.json()["state"] == "unknown"
    assert time.monotonic() - begin < 10


async def test_strangers_do_not_hear_what_others_push_and_keep(desk):
    image = f"sha256:{'a' * 64}"
    desk.queue.ask([Reference("h", "anna/secret", "v1")], time.time(), image=image)
    desk.pins.add("anna", "job-1", image)
    async with asking(desk, person="bob") as bob, asking(desk) as stranger:
        assert "anna/secret" in (await bob.get("/images")).text
        assert (await bob.get(f"/images/{image}")).json()["pins"] == ["anna/job-1"]
        assert (await stranger.get("/images")).json() == {"images": []}
        told = (await stranger.get(f"/images/{image}")).json()
        assert (told["state"], told["pins"]) == ("waiting", [])


async def test_what_came_whole_before_a_kill_need_not_come_again(desk):
    right, wrong = b"all of it", b"something"
    digest = f"sha256:{hashlib.sha256(right).hexdigest()}"
    blob = Blob(digest, len(right))
    desk.inbox.incoming(blob, "anna").append(0, wrong)  # and killed
    assert desk.inbox.missing([blob], "anna") == [(digest, 0)]
    desk.inbox.incoming(blob, "anna").append(0, right)
    assert desk.inbox.missing([blob], "anna") == []
    assert desk.inbox.has(digest)


async def test_a_full_disk_is_said_in_one_line(desk):
    # As SQLite says it of a file that may not grow.
    with desk.queue._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    references = [Reference("h", "env", f"{n}" + "x" * 100) for n in range(500)]
    with pytest.raises(NoSpaceError, match="the publisher's disk is full"):
        desk.queue.ask(references, time.time())
    desk.pins._connection.execute("PRAGMA max_page_count=1")
    images = [f"sha256:{n:064x}" for n in range(500)]
    with pytest.raises(NoSpaceError, match="the publisher's disk is full"):
        desk.pins.unused_since(images, 0.0)
