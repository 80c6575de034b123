"""A package index on this machine: wheels made of what is installed, given out in parts."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_of(site: Path, dist_info: str) -> tuple[str, bytes]:
    """Return name and content of the wheel that an installed distribution came in."""
    rows = list(csv.reader((site / dist_info / "RECORD").read_text().splitlines()))
    made = {f"{dist_info}/{x}" for x in ("RECORD", "INSTALLER", "REQUESTED")}
    kept = [row for row in rows if row[1] and ".." not in row[0] and row[0] not in made]
    tag = next(
        line.split()[1]
        for line in (site / dist_info / "WHEEL").read_text().splitlines()
        if line.startswith("Tag:")
    )
    files = {row[0]: (site / row[0]).read_bytes() for row in kept}
    record = "".join(f"{path},{digest},{size}\n" for path, digest, size in kept)
    return wheel(dist_info, files, record, tag)


def wheel(
    dist_info: str, files: Mapping[str, bytes], record: str, tag: str = "py3-none-any"
) -> tuple[str, bytes]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{dist_info}/RECORD", record)
    return f"{dist_info.removesuffix('.dist-info')}-{tag}.whl", stream.getvalue()


@dataclass
class Index:
    """What is given out, and what was asked for."""

    wheels: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Paths, and how many bytes were sent."""
    is_json: bool = True
    url: str = ""
    elsewhere: str = ""
    """Where everybody is sent, if anywhere."""

    def add(self, named: tuple[str, bytes]) -> None:
        self.wheels[named[0]] = named[1]

    def page(self, project: str) -> bytes | None:
        files = [name for name in self.wheels if normal(name.split("-")[0]) == project]
        if not files:
            return None
        links = [{"filename": name, "url": f"../../files/{name}"} for name in files]
        if self.is_json:
            return json.dumps({"files": links}).encode()
        anchors = [f'<a href="{x["url"]}#sha256=0">{x["filename"]}</a>' for x in links]
        return f"<html><body>{'<br>'.join(anchors)}</body></html>".encode()


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            found = index.page(name) if kind == "simple" else index.wheels.get(name)
            if index.elsewhere:
                self._answer(302, b"", {"Location": index.elsewhere})
            elif found is None:
                self._answer(404, b"", {})
            elif kind == "simple":
                json_type = "application/vnd.pypi.simple.v1+json"
                type_ = json_type if index.is_json else "text/html"
                self._answer(200, found, {"Content-Type": type_})
            else:
                first, last = self._range(len(found))
                told = f"bytes {first}-{last - 1}/{len(found)}"
                self._answer(206, found[first:last], {"Content-Range": told})

        def _range(self, size: int) -> tuple[int, int]:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            return int(first), int(last) + 1  # not from the end, as many do not

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            index.asked.append((self.path, len(body)))
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
