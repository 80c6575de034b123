"""The cache is quick where nothing changed, and never wrong where something did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facility.environment import describe, inspection

MakePrefix = Callable[..., Any]


class Reads:
    """Counts how often an environment is read from its directories."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = inspection.read_distributions

        def counted(*arguments: Any) -> Any:
            self.count += 1
            return real(*arguments)

        monkeypatch.setattr(inspection, "read_distributions", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def prefix(make_prefix: MakePrefix) -> Any:
    prefix = make_prefix()
    prefix.install("numpy", "2.0")
    prefix.settle()
    return prefix


def _files(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.glob("*"))


def test_the_second_time_nothing_is_read(prefix: Any, reads: Reads) -> None:
    first = describe(prefix.path)
    assert describe(prefix.path) == first
    assert reads.count == 1


def test_what_changed_a_moment_ago_is_not_cached(
    make_prefix: MakePrefix, reads: Reads, cache: Path
) -> None:
    fresh = make_prefix()
    fresh.install("numpy", "2.0")
    describe(fresh.path)
    fresh.install("scipy", "1.0")
    assert list(describe(fresh.path).distributions) == ["numpy", "scipy"]
    assert reads.count == 2
    assert _files(cache) == []


def _add(prefix: Any) -> None:
    prefix.install("scipy", "1.0")


def _remove(prefix: Any) -> None:
    (prefix.site / "numpy-2.0.dist-info").rename(prefix.path / "away")


def _upgrade(prefix: Any) -> None:
    _remove(prefix)
    prefix.install("numpy", "2.1")


def _reinstall_from_elsewhere(prefix: Any) -> None:
    _remove(prefix)
    prefix.install("numpy", "2.0", installer="conda")


def _link(prefix: Any) -> None:
    other = prefix.path / "layer"
    (other / "more-1.dist-info").mkdir(parents=True)
    (other / "more-1.dist-info" / "METADATA").write_text("")
    (prefix.site / "layer.pth").write_text(f"{other}\n")


CHANGES = {
    _add: {"numpy": "2.0", "scipy": "1.0"},
    _remove: {},
    _upgrade: {"numpy": "2.1"},
    _reinstall_from_elsewhere: {"numpy": "2.0 (conda)"},
    _link: {"more": "1 (other)", "numpy": "2.0"},
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.items())
def test_a_change_is_noticed(
    prefix: Any, change: Callable[[Any], None], expected: dict[str, str]
) -> None:
    before = describe(prefix.path)
    change(prefix)
    after = describe(prefix.path)
    assert {name: str(d) for name, d in after.distributions.items()} == expected
    assert after.digest != before.digest


def test_a_change_in_a_linked_directory_is_noticed(prefix: Any) -> None:
    _link(prefix)
    layer = prefix.path / "layer"
    prefix.settle()
    os.utime(layer, ns=(10**18, 10**18))
    assert list(describe(prefix.path).distributions) == ["more", "numpy"]
    (layer / "more-1.dist-info").rename(layer / "less-1.dist-info")
    assert list(describe(prefix.path).distributions) == ["less", "numpy"]


def test_an_update_of_python_is_noticed(prefix: Any) -> None:
    before = describe(prefix.path)
    python = prefix.path / "bin" / "python"
    python.unlink()
    version = f"3.{sys.version_info.minor}.99"
    machine, libc = os.uname().machine, os.confstr("CS_GNU_LIBC_VERSION")
    python.write_text(
        f"#!/bin/sh\nprintf '%s\\n' cpython {version} {machine} '{libc}' /usr\n"
    )
    python.chmod(0o755)
    after = describe(prefix.path)
    assert after.python == version != before.python
    assert after.distributions == before.distributions


DAMAGES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"version": 1}',
    b'{"version": 1, "key": [], "environment": "{}", "sources": {}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_read_over(
    prefix: Any, reads: Reads, cache: Path, damage: bytes
) -> None:
    first = describe(prefix.path)
    (file,) = _files(cache)
    (cache / file).write_bytes(damage)
    assert describe(prefix.path) == first
    assert reads.count == 2
    assert describe(prefix.path) == first
    assert reads.count == 2, "it was written anew"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("environment", "{}"),
        ("environment", None),
        ("sources", {"numpy": [1]}),
        ("sources", []),
        ("version", 0),
        ("key", None),
    ],
)
def test_a_cache_of_another_form_is_read_over(
    prefix: Any, cache: Path, key: str, value: object
) -> None:
    first = describe(prefix.path)
    (file,) = _files(cache)
    data = json.loads((cache / file).read_text())
    (cache / file).write_text(json.dumps({**data, key: value}))
    assert describe(prefix.path) == first


def test_a_cache_that_cannot_be_written_is_no_error(
    prefix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert list(describe(prefix.path).distributions) == ["numpy"]


def test_the_cache_is_private(prefix: Any, cache: Path) -> None:
    describe(prefix.path)
    (file,) = _files(cache)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert (cache / file).stat().st_mode & 0o777 == 0o600


def test_many_writers_at_once_leave_one_good_file(
    prefix: Any, reads: Reads, cache: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from facility.environment import describe\n"
        "for _ in range(20):\n"
        "    assert list(describe(Path(sys.argv[1])).distributions) == ['numpy']\n"
        "    for f in Path(sys.argv[2]).glob('*.json'): f.write_bytes(b'{')\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, prefix.path, cache])
        for _ in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    describe(prefix.path)
    assert reads.count <= 1
    assert len(_files(cache)) == 1
    describe(prefix.path)
    assert reads.count <= 1


def _editable(prefix: Any, tmp_path: Path) -> Path:
    package = tmp_path / "src" / "mine"
    package.mkdir(parents=True)
    module = package / "__init__.py"
    module.write_text("x = 1\n")
    (prefix.site / "_mine.pth").write_text(f"{package.parent}\n")
    prefix.install(
        "mine",
        "1.0",
        direct_url={"url": tmp_path.as_uri(), "dir_info": {"editable": True}},
        record="_mine.pth,,\n",
    )
    prefix.settle()
    os.utime(package.parent, ns=(10**18, 10**18))
    return module


def test_sources_are_read_again_only_when_their_status_changes(
    prefix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    # The change time of a file cannot be set back, so the clock goes forward.
    now_ns = inspection.time.time_ns()
    monkeypatch.setattr(inspection.time, "time_ns", lambda: now_ns + 60 * 10**9)
    digested = []
    real = inspection.contents_digest

    def counted(files: Any) -> str:
        digested.append(files)
        return real(files)

    monkeypatch.setattr(inspection, "contents_digest", counted)
    module = _editable(prefix, tmp_path)
    first = describe(prefix.path)
    assert describe(prefix.path) == first
    assert (reads.count, len(digested)) == (1, 1)
    module.write_text("x = 2\n")
    second = describe(prefix.path)
    assert second.digest != first.digest
    assert describe(prefix.path) == second
    assert (reads.count, len(digested)) == (1, 2)
