"""A minimal plugin, written against the wire alone: nothing of ours is imported.

``python standin_site.py SOCKET FOLDER``. Pods "run" by the clock. What happened is in
``FOLDER/effects.jsonl``; ``FOLDER/behaviour.json`` says how to behave:
``queue_s``, ``run_s``, ``exit_code``, ``plain`` (no extensions), ``info``, ``refuse``,
``no_space``, ``forget`` (pods that are not known any more), ``cut_uploads_at``,
``coming_s`` (public blobs are there so long after they were first asked for).
"""

import hashlib
import json
import os
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

FOLDER = Path(sys.argv[2])
BLOBS = FOLDER / "blobs"
PODS = FOLDER / "pods"
LOCK = threading.RLock()
INFO = {
    "version": "1",
    "site": "far",
    "architecture": os.uname().machine,
    "slices": {"nvidia.com/mig-1g.5gb": 2},
}


def behaviour():
    try:
        return json.loads((FOLDER / "behaviour.json").read_text())
    except FileNotFoundError:
        return {}


def effect(**what):
    with (FOLDER / "effects.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\n")


def write(path, data):
    draft = path.with_name(path.name + f".{threading.get_ident()}")
    draft.write_text(json.dumps(data))
    draft.replace(path)


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def status(record):
    now, how = time.time(), behaviour()
    start = record["created"] + how.get("queue_s", 0.0)
    end = start + how.get("run_s", 0.0)
    cancelled = record.get("deleted")
    if cancelled is not None and cancelled < end:
        state = {"terminated": {"exitCode": 143, "reason": "Cancelled"}}
        phase = "ended"
    elif now < start:
        state, phase = (
            {"waiting": {"reason": "Queued", "message": "Priority"}},
            "queued",
        )
    elif now < end:
        state, phase = {"running": {"startedAt": stamp(start)}}, "running"
    else:
        code = how.get("exit_code", 0)
        phase = "ended"
        state = {
            "terminated": {
                "exitCode": code,
                "reason": "Error" if code else "Completed",
                "startedAt": stamp(start),
                "finishedAt": stamp(end),
            }
        }
    return phase, {
        "name": record["name"],
        "UID": record["uid"],
        "namespace": "",
        "JID": f"s-{record['uid'][:8]}",
        "containers": [{"name": "main", "state": state}],
        "initContainers": None,
    }


def records():
    forget = set(behaviour().get("forget", ()))
    return [r for r in list(RECORDS.values()) if r["uid"] not in forget]


def record_of(uid):
    return None if uid in behaviour().get("forget", ()) else RECORDS.get(uid)


def save(record):
    write(PODS / f"{record['uid']}.json", record)
    RECORDS[record["uid"]] = record


def missing_of(pod):
    for volume in pod["spec"].get("volumes", []):
        reference = volume.get("image", {}).get("reference", "")
        digest = reference.partition("@")[2]
        if digest:
            path = BLOBS / digest
            if not path.exists():
                return [digest]
            manifest = json.loads(path.read_bytes())
            wanted = [manifest["config"], *manifest["layers"]]
            return [b["digest"] for b in wanted if not (BLOBS / b["digest"]).exists()]
    return []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def chunks(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length", 0)):
            yield self.rfile.read(length)

    def body(self):
        return json.loads(b"".join(self.chunks()) or b"null")

    def answer(self, code, data=b"", **headers):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def problem(self, code, kind, detail, **more):
        document = {"type": f"x/{kind}", "title": kind, "detail": detail, **more}
        self.answer(code, document, Content_Type="application/problem+json")

    def dispatch(self):  # noqa: PLR0912 - one line per call of the wire
        parts = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        extension = parts.path.startswith(("/facility/", "/system-info"))
        if extension and behaviour().get("plain"):
            self.body()
            self.answer(404, b"404 page not found")
            return
        match [self.command, *parts.path.strip("/").split("/")]:
            case ["POST", "create"]:
                self.create()
            case ["DELETE", "delete"]:
                self.delete()
            case ["GET", "status"]:
                self.status()
            case ["GET", "getLogs"]:
                self.answer(200, self.log(self.body()["PodUID"]))
            case ["GET", "system-info"]:
                self.answer(200, INFO | behaviour().get("info", {}))
            case ["GET", "facility", "v1", "changes"]:
                self.changes()
            case ["POST", "facility", "v1", "blobs", "missing"]:
                self.missing()
            case ["PATCH", "facility", "v1", "blobs", digest]:
                self.upload(digest)
            case ["GET", "facility", "v1", "pods", uid, "logs", _]:
                self.ranged(self.log(uid))
            case ["GET", "facility", "v1", "pods", uid, "outputs"]:
                self.outputs(uid)
            case ["POST", "facility", "v1", "pods", uid, "outputs", "received"]:
                effect(received=uid, digest=self.body()["digest"])
                self.answer(200)
            case _:
                self.answer(404, b"404 page not found")

    do_GET = do_POST = do_PATCH = do_DELETE = dispatch  # noqa: N815

    def create(self):
        body, how = self.body(), behaviour()
        asked = body if isinstance(body, list) else [body]
        if how.get("refuse"):
            self.problem(422, "impossible", how["refuse"])
            return
        if how.get("no_space"):
            self.problem(507, "no-space", "the disk is full")
            return
        with LOCK:
            for one in asked:
                if not how.get("plain") and (missing := missing_of(one["pod"])):
                    self.problem(424, "missing-blobs", "send them", missing=missing)
                    return
            answers = []
            for one in asked:
                meta = one["pod"]["metadata"]
                if meta["uid"] not in RECORDS:
                    effect(created=meta["uid"], name=meta["name"])
                    record = {"uid": meta["uid"], "name": meta["name"]}
                    save(record | {"created": time.time(), "asked": one})
                answers.append({"PodUID": meta["uid"], "PodJID": ""})
        time.sleep(how.get("answer_late_s", 0))
        self.answer(200, answers if isinstance(body, list) else answers[0])

    def delete(self):
        uid = self.body()["metadata"]["uid"]
        with LOCK:
            record = record_of(uid)
            if record is None:
                self.problem(404, "unknown-pod", "no such pod")
                return
            if "deleted" not in record:
                effect(deleted=uid)
                save(record | {"deleted": time.time()})
        self.answer(200)

    def status(self):
        asked = self.body()
        if not asked:
            self.answer(200, b"pong")
            return
        uids = {pod["metadata"]["uid"] for pod in asked}
        self.answer(200, [status(r)[1] for r in records() if r["uid"] in uids])

    def changes(self):
        # One number per pod and phase: who asks since a number gets what is newer.
        since = int(self.query["since"])
        end = time.monotonic() + float(self.query["timeout_s"])
        while True:
            found, sequence = [], len(SEEN) + 1
            if since > sequence:  # of another life
                since = 0
            for record in records():
                phase, what = status(record)
                number = SEEN.setdefault((record["uid"], phase), len(SEEN) + 2)
                sequence = max(sequence, number)
                if number > since:
                    found.append(what)
            if found or since == 0 or time.monotonic() > end:
                self.answer(200, {"sequence": sequence, "pods": found})
                return
            time.sleep(0.01)

    def missing(self):
        found, coming_s = [], behaviour().get("coming_s")
        for blob in self.body()["blobs"]:
            if coming_s is not None and blob.get("is_public"):
                asked = COMING.setdefault(blob["digest"], time.monotonic())
                if time.monotonic() > asked + coming_s:
                    (BLOBS / blob["digest"]).touch()
                    continue
                found.append({"digest": blob["digest"], "is_coming": True})
            elif not (BLOBS / blob["digest"]).exists():
                part = BLOBS / f"{blob['digest']}.part"
                offset = part.stat().st_size if part.exists() else 0
                found.append({"digest": blob["digest"], "offset": offset})
        self.answer(200, {"missing": found})

    def upload(self, digest):
        part = BLOBS / f"{digest}.part"
        size = int(self.headers["Upload-Length"])
        here = part.stat().st_size if part.exists() else 0
        cut = behaviour().get("cut_uploads_at")
        if int(self.headers["Upload-Offset"]) != here:
            self.close_connection = True
            self.problem(409, "wrong-offset", "elsewhere")
            return
        with part.open("ab") as file:
            for chunk in self.chunks():
                file.write(chunk)
                effect(received_bytes=len(chunk), blob=digest)
                if cut is not None and here == 0 and file.tell() >= cut:
                    self.close_connection = True
                    self.connection.close()
                    return
        if part.stat().st_size < size:
            self.answer(204, Upload_Offset=str(part.stat().st_size))
            return
        found = hashlib.sha256(part.read_bytes()).hexdigest()
        if f"sha256:{found}" != digest:
            part.unlink()
            self.problem(422, "bad-digest", f"got {found}")
            return
        part.replace(BLOBS / digest)
        effect(blob_complete=digest)
        self.answer(201)

    def log(self, uid):
        record = record_of(uid)
        started = record is not None and status(record)[0] != "queued"
        return f"hello from {record['name']}\n".encode() if started else b""

    def outputs(self, uid):
        record, pack = record_of(uid), FOLDER / "pack"
        if record is None or not pack.exists():
            self.problem(404, "unknown-pod", "no outputs")
        elif status(record)[0] != "ended":
            self.problem(425, "not-ready", "it runs")
        else:
            data = pack.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            effect(outputs_asked=uid, range=self.headers.get("Range"))
            self.ranged(data, ETag=f'"sha256:{digest}"')

    def ranged(self, data, **headers):
        asked = self.headers.get("Range")
        if asked is None:
            self.answer(200, data, **headers)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            self.answer(416, b"", Content_Range=f"bytes */{len(data)}", **headers)
            return
        where = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206, data[start:], Content_Range=where, **headers)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


SEEN, COMING = {}, {}
for folder in (BLOBS, PODS):
    folder.mkdir(parents=True, exist_ok=True)
RECORDS = {p.stem: json.loads(p.read_text()) for p in PODS.glob("*.json")}
Path(sys.argv[1]).unlink(missing_ok=True)
server = Server(sys.argv[1], Handler)
print("ready", flush=True)
server.serve_forever()
