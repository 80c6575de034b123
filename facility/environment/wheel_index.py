"""What a public index gives out: the records of its wheels, without the wheels.

Simple repository API (HTML and JSON forms) and binary distribution format of the Python
packaging specifications. A wheel's ``RECORD`` says what each of its files holds; it lies
near the end of the archive, beside the archive's own directory, so that a part of the
wheel is all that is asked for (RFC 9110, range requests).
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from html.parser import HTMLParser
from itertools import product
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx

from facility.environment.index_links import Addresses, addresses_of, may_follow
from facility.errors import FacilityError
from facility.text import reason

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_TIMEOUT = httpx.Timeout(30, connect=5)
_TAIL = 256 << 10
_LARGEST_PAGE = 64 << 20
_LARGEST_RECORD = 32 << 20
_SHA256 = "sha256="

_Answer = tuple[int, httpx.Headers, bytes]
"""Status, headers and body."""
_Get = Callable[[str, Mapping[str, str]], _Answer]


class IndexAwayError(FacilityError):
    """An index cannot be asked now, or answers nonsense."""


class WheelIndex:
    """Indexes that anybody may read; use it in a ``with`` block.

    Args:
        urls: of their simple repository API, such as ``https://pypi.org/simple``.
        addresses: tells where hosts are.
    """

    def __init__(
        self, urls: Sequence[str], addresses: Addresses = addresses_of
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._addresses = cache(addresses)
        self._http = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=True,
            event_hooks={"request": [self._check]},  # of every step of a redirection
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def records(
        self, dist_info: str, tags: Collection[str]
    ) -> Iterator[Mapping[str, str]]:
        """Yield what the wheels of a distribution hold that have one of these tags.

        Args:
            dist_info: its folder, ``NAME-VERSION.dist-info``.
            tags: such as ``py3-none-any``.

        Yields:
            SHA-256 (URL-safe base64 without padding) by path in the wheel.

        Raises:
            IndexAwayError: an index cannot be asked.
        """
        name, _, version = dist_info.removesuffix(".dist-info").partition("-")
        for url in self._urls:
            get = partial(self._get, url)
            page = f"{url}/{quote(_normal(name), safe='')}/"
            for file, link in _files(get, page):
                if _is_wheel_of(file, name, version, tags):
                    yield _record(get, link, f"{dist_info}/RECORD")

    def _check(self, request: httpx.Request) -> None:
        url, index = str(request.url), request.extensions["index"]
        try:
            is_fine = may_follow(url, index, self._addresses)
        except ValueError:
            is_fine = False
        if not is_fine:
            raise _away(url, f"expected https and a public address in links of {index}")

    def _get(self, index: str, url: str, headers: Mapping[str, str]) -> _Answer:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise _away(url, "expected http or https")
        content = bytearray()
        own = {"index": index}
        try:
            with self._http.stream(
                "GET", url, headers=headers, extensions=own
            ) as response:
                # Who ignores ranges would send all of a wheel.
                if response.status_code == (206 if "Range" in headers else 200):
                    for piece in response.iter_bytes():
                        content += piece
                        if len(content) > _LARGEST_PAGE:
                            raise _away(url, "sends too much")
        # The last one: what cannot be the name of a host.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _away(url, f"cannot be reached: {reason(error)}") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise _away(url, f"answers with status {response.status_code}")
        return response.status_code, response.headers, bytes(content)


def _files(get: _Get, page: str) -> list[tuple[str, str]]:
    """Return names and URLs of what an index has of a project."""
    status, told, content = get(page, {"Accept": _ACCEPT})
    if status == 404:
        return []
    if status != 200:
        raise _away(page, f"answers with status {status}")
    try:
        if "json" in told.get("Content-Type", ""):
            files = json.loads(content)["files"]
            found = [(str(each["filename"]), str(each["url"])) for each in files]
        else:
            parser = _Anchors()
            parser.feed(content.decode("utf-8", "replace"))
            found = [(_name_in(link), link) for link in parser.links]
        return [(name, urljoin(page, link)) for name, link in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _away(page, "expected the files of a project") from None


def _record(get: _Get, url: str, path: str) -> Mapping[str, str]:
    try:
        with zipfile.ZipFile(io.BufferedReader(_Remote(get, url))) as archive:
            found = archive.getinfo(path)
            if found.file_size > _LARGEST_RECORD:
                return {}
            text = archive.read(found).decode("utf-8", "replace")
        return {
            row[0]: row[1].removeprefix(_SHA256)
            for row in csv.reader(text.splitlines())
            if len(row) > 1 and row[1].startswith(_SHA256)
        }
    except KeyError:
        return {}
    except IndexAwayError:
        raise
    except Exception as error:  # noqa: BLE001 -- of archives, packers, CSV
        raise _away(url, f"is no wheel: {error}") from None


class _Remote(io.RawIOBase):
    """A file of which only what is read is asked for."""

    def __init__(self, get: _Get, url: str) -> None:
        self._get = get
        self._url = url
        # One byte tells the size: many servers refuse ranges that count from the end.
        _, self._size = self._part("bytes=0-0")
        # Most often nothing but the end is needed.
        begin = max(0, self._size - _TAIL)
        self._tail, _ = self._part(f"bytes={begin}-{self._size - 1}")
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}
        self._place = max(0, base[whence] + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        first, last = self._place, min(self._place + len(buffer), self._size)
        if first >= last:
            return 0
        tail_at = self._size - len(self._tail)
        if first >= tail_at:
            data = self._tail[first - tail_at : last - tail_at]
        else:
            data, _ = self._part(f"bytes={first}-{last - 1}")
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _part(self, wanted: str) -> tuple[bytes, int]:
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        status, told, content = self._get(self._url, headers)
        size = told.get("Content-Range", "").rpartition("/")[2]
        if status != 206 or not size.isdecimal():
            raise _away(self._url, "does not give out parts of files")
        return content, int(size)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]


def _name_in(link: str) -> str:
    return unquote(urlsplit(link).path.rpartition("/")[2])


def _is_wheel_of(file: str, name: str, version: str, tags: Collection[str]) -> bool:
    parts = file.removesuffix(".whl").split("-")
    if not file.endswith(".whl") or len(parts) not in {5, 6}:
        return False
    if (_normal(parts[0]), parts[1]) != (_normal(name), version):
        return False
    its = product(*(part.split(".") for part in parts[-3:]))
    return any("-".join(tag) in tags for tag in its)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _away(url: str, reason: str) -> IndexAwayError:
    line = f"index {url}: {reason}"
    return IndexAwayError(line.encode("ascii", "backslashreplace").decode())
