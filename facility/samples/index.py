"""The package index as a source of files: exact release, exact sha256.

The index is the person's own (``PIP_INDEX_URL``, ``UV_DEFAULT_INDEX`` or
``UV_INDEX_URL``), or the default of the client library. No host is named here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import requests
from pypi_simple import (
    DistributionPackage,
    NoSuchProjectError,
    ProgressTracker,
    PyPISimple,
)
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from facility.errors import FacilityError, UsageError
from facility.samples.cache import file_sha256
from facility.samples.registry import Package

INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""Environment variables that name an index, the first that is set decides."""

SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts: behind an institute's proxy more than `requests` does."""

TIMEOUT_S = 30.0
"""Longest silence of the index before the download has failed."""


def download(package: Package, target: Path, *, progress: bool = False) -> None:
    """Write the package's file to ``target``; its sha256 is the registered one.

    Raises:
        UsageError: the index cannot be reached, or does not have the release.
        FacilityError: the index sent other bytes.
        OSError: ``target`` cannot be written.
    """
    where = f"{package.project} {package.version}"
    try:
        with _client(os.environ) as client:
            client.download_package(
                _find(client, package),
                target,
                verify=False,  # the pinned sha256 below is what counts
                progress=_Bar(package.filename) if progress else None,
                timeout=TIMEOUT_S,
            )
    except requests.RequestException as error:
        raise UsageError(
            f"cannot download {where}: {_reason(error)}; check the network, or set "
            f"{INDEX_VARIABLES[0]} to an index that you can reach"
        ) from error
    got = file_sha256(target)
    if got != package.sha256:
        raise FacilityError(
            f"{package.filename} has sha256 {got[:16]}..., expected "
            f"{package.sha256[:16]}...: the index sent another file, nothing was kept"
        )


def _client(environment: Mapping[str, str]) -> PyPISimple:
    session = requests.Session()
    # $REQUESTS_CA_BUNDLE, if set, still decides: `requests` asks it first.
    authorities = Path(environment.get("SSL_CERT_FILE") or SYSTEM_AUTHORITIES)
    if authorities.is_file():
        session.verify = str(authorities)
    for name in INDEX_VARIABLES:
        if url := environment.get(name):
            return PyPISimple(url, session=session)
    return PyPISimple(session=session)


def _find(client: PyPISimple, package: Package) -> DistributionPackage:
    try:
        page = client.get_project_page(package.project, timeout=TIMEOUT_S)
    except NoSuchProjectError as error:
        raise UsageError(
            f"the package index has no project {package.project}; unset "
            f"{', '.join(INDEX_VARIABLES)} or choose an index that has it"
        ) from error
    for candidate in page.packages:
        if candidate.filename == package.filename:
            return candidate
    raise UsageError(
        f"the package index has {package.project}, but not {package.filename}; "
        "choose an index that has it"
    )


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the index answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"the index was silent for {TIMEOUT_S:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "the index's certificate is not trusted"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the package index"
    return type(error).__name__


class _Bar:
    """A terminal progress bar in the form that the client library asks for."""

    def __init__(self, label: str) -> None:
        self._label = label

    def __call__(self, size: int | None) -> ProgressTracker:
        return _Tracker(self._label, size)


class _Tracker:
    def __init__(self, label: str, size: int | None) -> None:
        self._progress = Progress(
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            transient=True,
        )
        self._task = self._progress.add_task(label, total=size)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, increment: int) -> None:
        self._progress.advance(self._task, increment)
