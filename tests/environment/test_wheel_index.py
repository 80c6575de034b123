"""Records of wheels are read from an index by parts; what is no answer is said so."""

from __future__ import annotations

import base64
import hashlib
import json
import os

import httpx
import pytest

from facility.environment.wheel_index import IndexAwayError, WheelIndex
from tests.environment import wheel_server as server

ANY = {"py3-none-any"}
INFO = "some_thing-1.0.dist-info"


def digest(content: bytes) -> str:
    found = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return found.decode().rstrip("=")


def made(info: str = INFO, tag: str = "py3-none-any", **files: bytes):
    rows = "".join(f"{k},sha256={digest(v)},{len(v)}\n" for k, v in files.items())
    return server.wheel(info, files, rows + f"{info}/RECORD,,\n", tag)


@pytest.fixture(params=[True, False], ids=["json", "html"])
def index(request):
    with server.serving(server.Index(is_json=request.param)) as index:
        yield index


def records(index, info: str = INFO, tags=ANY):
    with WheelIndex([index.url]) as client:
        return list(client.records(info, tags))


def test_a_record_is_read_from_the_end_of_the_wheel(index):
    large = os.urandom(2_000_000)
    index.add(made(a=b"1", large=large))
    index.add(
        made(tag="cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", a=b"2")
    )
    index.add(made("some_thing-2.0.dist-info", a=b"3"))
    assert records(index) == [{"a": digest(b"1"), "large": digest(large)}]
    assert sum(size for _, size in index.asked) < 300_000
    tags = {"cp311-cp311-manylinux2014_x86_64"}
    assert records(index, tags=tags) == [{"a": digest(b"2")}]


def test_a_record_that_lies_far_from_the_end_is_found(index):
    name, content = made(a=b"1")
    index.wheels[name] = content
    noise = {f"f{n}": os.urandom(1000) for n in range(20)}
    index.add(server.wheel(INFO, {}, f"a,sha256={digest(b'x')},1\n"))
    with server.zipfile.ZipFile(stream := server.io.BytesIO(), "w") as archive:
        archive.writestr(f"{INFO}/RECORD", f"a,sha256={digest(b'x')},1\n")
        for path, data in noise.items():
            archive.writestr(path, data * 40)
    index.wheels[name] = stream.getvalue()
    assert records(index) == [{"a": digest(b"x")}]


def test_what_it_does_not_have_has_no_records(index):
    index.add(made(a=b"1"))
    assert records(index, "other-1.0.dist-info") == []
    assert records(index, "some_thing-1.1.dist-info") == []
    assert records(index, tags={"py2-none-any"}) == []
    index.add(made("Some.Thing-3.0.dist-info", a=b"1"))
    assert records(index, "Some.Thing-3.0.dist-info") != []


def test_an_index_that_is_away_or_talks_nonsense_is_said_so(index):
    with (
        pytest.raises(IndexAwayError, match="cannot be reached"),
        WheelIndex(["http://127.0.0.1:9/simple"]) as client,
    ):
        list(client.records(INFO, ANY))
    name, _ = made(a=b"1")
    index.wheels[name] = b"no archive" * 10
    with pytest.raises(IndexAwayError, match="is no wheel"):
        records(index)
    index.add(
        server.wheel(INFO, {}, f"a,{'x' * 200_000},1\n")
    )  # no CSV reader takes it
    with pytest.raises(IndexAwayError, match="is no wheel: field larger"):
        records(index)
    _, content = made(a=b"1")
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        damaged = bytearray(content)
        damaged[content.rindex(mark) + at] |= 1  # encrypted
        content = bytes(damaged)
    index.wheels[name] = content
    with pytest.raises(IndexAwayError, match="is no wheel: File .* is encrypted"):
        records(index)


@pytest.mark.parametrize(
    "url", ["http://[x/", "file:///etc/passwd", "http://\ud800.x/"]
)
def test_a_link_that_leads_nowhere_is_said_so_in_plain_letters(index, url):
    name, _ = made(a=b"1")
    index.is_json = True
    page = json.dumps({"files": [{"filename": name, "url": url}]}).encode()
    index.page = lambda _: page
    with pytest.raises(IndexAwayError, match=r"expected|cannot be reached") as told:
        records(index)
    assert str(told.value).isascii()


@pytest.mark.parametrize("way", ["link", "redirect"])
def test_a_page_does_not_lead_to_what_lies_inside(way, index):
    name, _ = made(a=b"1")
    outside = index.url.replace("127.0.0.1", "outside")
    inside = index.url.replace("/simple", f"/files/{name}")
    page = json.dumps({"files": [{"filename": name, "url": inside}]}).encode()
    addresses = {"outside": ["151.101.0.223"]}
    asked = []

    def answer(request):
        asked.append(request.url.host)
        if way == "redirect":
            return httpx.Response(302, headers={"Location": inside})
        return httpx.Response(
            200, content=page, headers={"Content-Type": "application/json"}
        )

    with WheelIndex([outside], addresses.__getitem__) as client:
        client._http._transport = httpx.MockTransport(answer)
        with pytest.raises(IndexAwayError, match="public address"):
            list(client.records(INFO, ANY))
    assert asked == ["outside"]


@pytest.mark.parametrize("host", ["xn--", "a..b", "a" * 70])
def test_a_redirection_to_what_is_no_host_is_said_so(host, index):
    index.elsewhere = f"https://{host}/"
    with pytest.raises(IndexAwayError, match="cannot be reached"):
        records(index)
