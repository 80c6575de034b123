"""One remote file: what it is, and its bytes, in spite of servers that fail."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from facility.columnar.errors import DatasetError, ReadError
from facility.columnar.remote.failures import (
    ADVICE,
    Failure,
    NoRangesError,
    failure_of,
)
from facility.columnar.remote.opening import HEAD_BYTES, RemoteInfo, known_of
from facility.columnar.remote.patience import Patience
from facility.columnar.remote.ranges import Range, merged
from facility.columnar.remote.urls import checked, shown

TIMEOUT_S = 30
"""Without a byte for so long, a request has failed."""

_T = TypeVar("_T")


class RemoteFile:
    """A file at a URL; used by one thread.

    Args:
        url: of any scheme that fsspec knows.
        patience: with a server that fails.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        patience: Patience | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = checked(url)
        self.bytes_read = 0
        self._patience = patience or Patience()
        self._sleep = sleep
        self._fs, self._path = _file_system(self.url)

    def info(self) -> RemoteInfo:
        """Ask what is there now.

        Raises:
            DatasetError: no such host or file, no permission, or no answer.
        """
        known = known_of(self.url)
        if known is None:
            return self._info()
        if known.info is None:
            known.info = self._info()
        return known.info

    def _info(self) -> RemoteInfo:
        found = self._asked(lambda: self._fs.info(self._path))
        if found.get("type") == "directory":
            raise DatasetError(
                f"{shown(self.url)} is a directory: expected a file; give its files, "
                "or a glob"
            )
        if found.get("size") is None:
            raise DatasetError(
                f"{shown(self.url)}: the server does not say how large it is; copy the "
                "file here"
            )
        return RemoteInfo(
            int(found["size"]), _modified_ns(found), found.get("ETag", "")
        )

    def read(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Return the bytes of each range; neighbours are asked for together.

        Raises:
            ReadError: they cannot be had; it says why.
        """
        known = known_of(self.url)
        if known is None or any(stop > HEAD_BYTES for _, stop in ranges):
            return self._read(ranges)
        size = self.info().size_bytes
        if any(stop > size for _, stop in ranges):
            return self._read(ranges)
        if known.head is None:
            known.head = bytes(self._read([(0, min(HEAD_BYTES, size))])[0])
        return [memoryview(known.head)[start:stop] for start, stop in ranges]

    def _read(self, ranges: Sequence[Range]) -> list[memoryview]:
        requests = merged([r for r in ranges if r[1] > r[0]])
        had: dict[Range, bytes] = {}

        def fetch() -> None:
            missing = [r for r in requests if r not in had]
            found = self._fs.cat_ranges(
                [self._path] * len(missing),
                [start for start, _ in missing],
                [stop for _, stop in missing],
                on_error="return",
            )
            failed: Exception | None = None
            for wanted, got in zip(missing, found, strict=True):
                if isinstance(got, Exception):
                    failed = got
                elif len(got) != wanted[1] - wanted[0]:
                    failed = _short(wanted, len(got))
                else:
                    had[wanted] = bytes(got)
            if failed is not None:
                raise failed

        if requests:
            try:
                self._patiently(fetch)
            except _FailedError as error:
                raise ReadError(self._sentence(error.failure)) from error.__cause__
        self.bytes_read += sum(map(len, had.values()))
        starts = [start for start, _ in requests]
        return [_part(requests, starts, had, r) for r in ranges]

    def matches(self) -> list[str]:
        """Return the files that this URL matches, if it is a glob.

        Raises:
            DatasetError: no such host, no permission, or no answer.
        """
        names = self._asked(lambda: self._fs.glob(self._path))
        return [checked(str(self._fs.unstrip_protocol(name))) for name in names]

    def _asked(self, request: Callable[[], _T]) -> _T:
        try:
            return self._patiently(request)
        except _FailedError as error:
            raise DatasetError(self._sentence(error.failure)) from error.__cause__

    def _patiently(self, request: Callable[[], _T]) -> _T:
        failed = 0
        while True:
            try:
                return request()
            except Exception as error:  # fsspec raises what its back ends raise
                failed += 1
                failure = failure_of(error)
                wait = self._patience.wait_s(failure.kind, failed, random.random())
                if wait is None:
                    raise _FailedError(failure) from error
                self._sleep(wait)
                self._forget()

    def _forget(self) -> None:
        """Drop what fsspec keeps of the file: XRootD's handle may be dead."""
        with suppress(Exception):  # closing what is dead may fail
            self._fs.invalidate_cache(self._path)

    def _sentence(self, failure: Failure) -> str:
        return f"{shown(self.url)}: {failure.kind} ({failure.said}): {ADVICE[failure.kind]}"


class _FailedError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.said)
        self.failure = failure


def _short(wanted: Range, got: int) -> OSError:
    expected = wanted[1] - wanted[0]
    if got > expected:
        return NoRangesError(f"asked for {expected} bytes, got {got}")
    return OSError(f"asked for {expected} bytes, got {got}")


def _part(
    requests: list[Range], starts: list[int], had: dict[Range, bytes], wanted: Range
) -> memoryview:
    start, stop = wanted
    if stop <= start:
        return memoryview(b"")
    request = requests[bisect_right(starts, start) - 1]
    return memoryview(had[request])[start - request[0] : stop - request[0]]


def _modified_ns(found: dict[str, Any]) -> int:
    if text := found.get("Last-Modified"):
        return int(parsedate_to_datetime(text).timestamp()) * 10**9
    mtime = found.get("mtime", 0)
    return int(mtime) * 10**9 if isinstance(mtime, int | float) else 0


def _file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it.

    Raises:
        DatasetError: what the scheme needs is not installed, or nobody knows it.
    """
    import fsspec  # 50 ms, and aiohttp 200: who reads local files needs neither

    scheme = url.partition("://")[0]
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url, **_options(scheme))
    except ImportError as error:
        extra = "xrootd" if scheme.startswith("root") else scheme
        raise DatasetError(
            f"{shown(url)}: {scheme}:// needs a package that is not installed "
            f"({error}): pip install 'analysis-facility[{extra}]'"
        ) from error
    except ValueError as error:
        raise DatasetError(
            f"{shown(url)}: {error}; expected root://, http:// or https://"
        ) from error
    return found


@cache
def _options(scheme: str) -> dict[str, Any]:
    match scheme:
        case "http" | "https":
            import aiohttp

            timeout = aiohttp.ClientTimeout(sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S)
            return {"client_kwargs": {"timeout": timeout}}
        case "root" | "roots":
            # By name: whoever checks types may not have it.
            client = import_module("XRootD.client")
            # Its own retries would take minutes before ours know of the first.
            client.EnvPutInt("ConnectionWindow", TIMEOUT_S)
            client.EnvPutInt("ConnectionRetry", 1)
            client.EnvPutInt("StreamErrorWindow", 0)
            return {"timeout": TIMEOUT_S, "use_listings_cache": False}
        case _:
            return {}
