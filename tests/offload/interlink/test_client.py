"""The client, against a plugin that shares no code with ours."""

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from offload.interlink import (
    Blob,
    ImpossibleError,
    LogStruct,
    MalformedAnswerError,
    MissingBlobsError,
    NoSpaceError,
    NotReadyError,
    ObjectMeta,
    Phase,
    PluginClient,
    PluginRefusedError,
    PluginUnreachableError,
    Pod,
    RetrievedPodData,
    UnknownPodError,
    UnsupportedError,
    WrongOffsetError,
)

POD = RetrievedPodData(pod=Pod(metadata=ObjectMeta(name="a", namespace="n", uid="u-1")))


class MinimalPlugin(BaseHTTPRequestHandler):
    """interLink's four calls, as somebody else would write them, and canned answers."""

    pods: dict = {}  # noqa: RUF012
    canned: dict = {}  # noqa: RUF012
    received: list = []  # noqa: RUF012

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, content, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_any(self):
        body = self.body()
        path = self.path.partition("?")[0]
        self.received.append((self.command, self.path, dict(self.headers), body))
        if (self.command, path) in self.canned:
            self.answer(*self.canned[self.command, path])
            return
        document = json.loads(body) if body else None
        match self.command, path:
            case "POST", "/create":
                data = document[0] if isinstance(document, list) else document
                uid = data["pod"]["metadata"]["uid"]
                self.pods[uid] = data["pod"]["metadata"]
                self.answer(200, json.dumps({"PodUID": uid, "PodJID": "77"}).encode())
            case "GET", "/status" if not document:
                self.answer(200, b"pong")
            case "GET", "/status":
                found = [
                    {"name": m["name"], "UID": uid, "namespace": "n", "JID": "77",
                     "containers": [{"name": "c", "state": {"running": {}}}]}
                    for pod in document
                    if (m := self.pods.get(uid := pod["metadata"]["uid"]))
                ]  # fmt: skip
                self.answer(200, json.dumps(found).encode())
            case "DELETE", "/delete":
                self.pods.pop(document["metadata"]["uid"], None)
                self.answer(200, b"deleted")
            case "GET", "/getLogs":
                self.answer(200, f"tail {document['Opts']['Tail']}\n".encode())
            case _:
                self.answer(404, b"404 page not found")

    do_GET = do_POST = do_DELETE = do_PATCH = handle_any  # noqa: N815


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    for name in ("pods", "canned"):
        monkeypatch.setattr(MinimalPlugin, name, {})
    monkeypatch.setattr(MinimalPlugin, "received", [])
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with Server("s", MinimalPlugin) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield MinimalPlugin
        server.shutdown()
        thread.join()


@pytest.fixture
async def client():
    async with PluginClient("unix://s", timeout_s=5) as client:
        yield client


def canned(status, document, headers=()):
    kind = ("Content-Type", "application/problem+json")
    return status, json.dumps(document).encode(), [kind, *headers]


async def test_the_life_of_a_pod_at_somebody_elses_plugin(plugin, client):
    assert (await client.ping()).status == "pong"
    created = await client.create(POD)
    assert (created.pod_uid, created.pod_jid) == ("u-1", "77")
    (status,) = await client.status([POD.pod])
    assert (status.uid, status.phase) == ("u-1", Phase.RUNNING)
    assert await client.logs(LogStruct(pod_uid="u-1", opts={"Tail": 4})) == b"tail 4\n"
    await client.delete(POD.pod)
    assert await client.status([POD.pod]) == ()


async def test_create_sends_an_object_or_a_list_of_one(plugin, client):
    await client.create(POD)
    await client.create(POD, as_list=True)
    bodies = [json.loads(body) for _, _, _, body in plugin.received]
    assert isinstance(bodies[0], dict)
    assert bodies[1] == [bodies[0]]


async def test_a_list_is_a_good_answer_to_create(plugin, client):
    plugin.canned["POST", "/create"] = (200, b'[{"PodUID":"u-1","PodJID":"5"}]', [])
    assert (await client.create(POD)).pod_jid == "5"


async def test_status_of_no_pod_would_be_a_ping(client):
    with pytest.raises(ValueError, match="at least one pod"):
        await client.status([])


async def test_calls_of_ours_are_unsupported_there(plugin, client):
    for call in (
        client.system_info(),
        client.changes(0),
        client.missing_blobs([]),
        client.acknowledge_outputs("u-1", "sha256:0"),
    ):
        with pytest.raises(UnsupportedError):
            await call


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        (404, {"type": "x/unknown-pod", "detail": "no pod"}, UnknownPodError),
        (422, {"detail": "no slice"}, ImpossibleError),
        (424, {"missing": ["sha256:1"]}, MissingBlobsError),
        (425, {"detail": "not yet"}, NotReadyError),
        (500, {"detail": "oops"}, PluginRefusedError),
        (507, {"detail": "disk full"}, NoSpaceError),
    ],
)
async def test_problems_become_errors(plugin, client, status, document, error):
    plugin.canned["POST", "/create"] = canned(status, document)
    with pytest.raises(error) as caught:
        await client.create(POD)
    assert type(caught.value) is error
    assert caught.value.status == status
    if error is MissingBlobsError:
        assert caught.value.missing == ("sha256:1",)
    else:
        assert caught.value.detail == document["detail"]


async def test_errors_of_others_are_their_text_on_one_line(plugin, client):
    plugin.canned["POST", "/create"] = (500, b"sbatch failed:\n  no queue\n", [])
    with pytest.raises(PluginRefusedError, match=r"\(500\): sbatch failed: no queue$"):
        await client.create(POD)


async def test_deleting_what_is_unknown_is_fine(plugin, client):
    plugin.canned["DELETE", "/delete"] = canned(404, {"type": "x/unknown-pod"})
    await client.delete(POD.pod)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"[]", b"{}"])
async def test_an_answer_that_is_none(plugin, client, content):
    plugin.canned["POST", "/create"] = (200, content, [])
    with pytest.raises(MalformedAnswerError, match="expected"):
        await client.create(POD)


async def test_nobody_there(tmp_path):
    async with PluginClient(f"unix://{tmp_path}/none") as client:
        with pytest.raises(PluginUnreachableError, match="no answer from plugin unix:"):
            await client.ping()


async def test_a_blob_goes_on_where_it_stopped(plugin, client):
    content = b"0123456789"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    path = f"/facility/v1/blobs/{digest}"

    async def chunks():
        for place in range(4, 10, 2):
            yield content[place : place + 2]

    plugin.canned["PATCH", path] = (201, b"", [])
    await client.send_blob(Blob(digest=digest, size=10), chunks(), offset=4)
    _, _, headers, body = plugin.received[-1]
    assert (headers["Upload-Offset"], headers["Upload-Length"]) == ("4", "10")
    assert body == content[4:]
    plugin.canned["PATCH", path] = canned(409, {}, [("Upload-Offset", "6")])
    with pytest.raises(WrongOffsetError) as caught:
        await client.send_blob(Blob(digest=digest, size=10), chunks(), offset=4)
    assert caught.value.offset == 6


async def test_outputs_from_an_offset_on(plugin, client):
    path = "/facility/v1/pods/u-1/outputs"
    etag = ("ETag", '"sha256:ab"')
    plugin.canned["GET", path] = (200, b"abcdef", [etag])
    async with client.outputs("u-1") as download:
        assert (download.offset, download.total) == (0, 6)
        assert download.digest == "sha256:ab"
        assert b"".join([chunk async for chunk in download.chunks]) == b"abcdef"
    plugin.canned["GET", path] = (206, b"def", [etag])
    async with client.outputs("u-1", offset=3) as download:
        assert (download.offset, download.total) == (3, 6)
    assert plugin.received[-1][2]["Range"] == "bytes=3-"
    plugin.canned["GET", path] = (416, b"", [("Content-Range", "bytes */6"), etag])
    async with client.outputs("u-1", offset=6) as download:
        assert (download.offset, download.total) == (6, 6)
        assert [chunk async for chunk in download.chunks] == []


async def test_no_answer_takes_all_memory(plugin, client, monkeypatch):
    monkeypatch.setattr("offload.interlink.connection.LARGEST_ANSWER", 100)
    for status in (200, 500):
        plugin.canned["GET", "/system-info"] = (status, b" " * 200, [])
        with pytest.raises(MalformedAnswerError, match="at most 100 bytes"):
            await client.system_info()


async def test_what_comes_compressed_is_not_unpacked(plugin, client):
    headers = [("Content-Encoding", "gzip")]
    content = gzip.compress(b'{"version": "1"}')
    plugin.canned["GET", "/system-info"] = (200, content, headers)
    with pytest.raises(MalformedAnswerError):
        await client.system_info()
    assert plugin.received[-1][2]["Accept-Encoding"] == "identity"
