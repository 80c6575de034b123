"""A layer is public if wheels of an index hold all of it, and only then."""

from __future__ import annotations

import base64
import hashlib

import pytest

from offload import zstd
from offload.snapshot.images.evidence import contents_of, is_given_out
from offload.snapshot.layers.tar import END, header, padding
from offload.snapshot.tree import Kind

SITE = "env/lib/python3.11/site-packages"
INFO = "thing-1.0.dist-info"
TAGS = {"cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux2014_x86_64"}
WHEEL = "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in sorted(TAGS))
FILES = {
    f"{SITE}/thing/__init__.py": b"print('hello')\n",
    f"{SITE}/thing/empty.py": b"",
    f"{SITE}/{INFO}/METADATA": b"Name: thing\n",
    f"{SITE}/{INFO}/WHEEL": WHEEL.encode(),
    "env/share/thing/data.json": b"{}",
}


def digest(content: bytes) -> str:
    found = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return found.decode().rstrip("=")


def record() -> dict[str, str]:
    found = {p.removeprefix(f"{SITE}/"): digest(x) for p, x in FILES.items()}
    found["thing-1.0.data/data/share/thing/data.json"] = found.pop(
        "env/share/thing/data.json"
    )
    return found


class Index:
    def __init__(self, *records: dict[str, str]) -> None:
        self.wheels = records
        self.asked: list[tuple[str, frozenset[str]]] = []

    def __call__(self, dist_info, tags):
        self.asked.append((dist_info, frozenset(tags)))
        return iter(self.wheels)


@pytest.fixture
def layer(tmp_path):
    def make(files, links=(), folders=("env",)):
        archive = b"".join(header(f.encode(), Kind.FOLDER, 0o755) for f in folders)
        for path, content in files.items():
            archive += header(path.encode(), Kind.FILE, 0o644, len(content))
            archive += content + padding(len(content))
        for path in links:
            archive += header(path.encode(), Kind.LINK, 0o777, target=b"x")
        blob = tmp_path / "layer"
        blob.write_bytes(zstd.compress(archive + END))
        return contents_of(blob)

    return make


def test_what_its_wheel_holds_is_given_out(layer):
    index = Index({"other": "x"}, record())
    assert is_given_out(layer(FILES), index)
    assert index.asked == [(INFO, TAGS)]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (f"{SITE}/thing/__init__.py", b"print('our own')\n"),
        (f"{SITE}/thing/more.py", b"print('hello')\n"),
        (f"{SITE}/secret/empty.py", b""),
        (f"{SITE}/{INFO}/METADATA", b"Name: thing\nVersion: ours\n"),
        ("env/share/secret/data.json", b"{}"),
        ("env/share/thing/data.json", b"[]"),
        ("env/lib/python3.11/thing/__init__.py", b"print('hello')\n"),
    ],
)
def test_one_file_more_or_another_and_it_is_our_own(layer, path, content):
    assert not is_given_out(layer(FILES | {path: content}), Index(record()))


def test_a_build_of_the_same_version_is_another(layer):
    other = record() | {f"{INFO}/WHEEL": digest(b"built elsewhere")}
    assert not is_given_out(layer(FILES), Index(other))
    rebuilt = record() | {"thing/__init__.py": digest(b"another")}
    assert not is_given_out(layer(FILES), Index(rebuilt))
    assert not is_given_out(layer(FILES), Index())


def test_links_empty_folders_and_what_has_no_wheel_are_our_own(layer):
    assert not is_given_out(layer(FILES, links=[f"{SITE}/link"]), Index(record()))
    assert not is_given_out(layer({}), Index(record()))
    assert is_given_out(layer(FILES, folders=["env/share"]), Index(record()))
    assert not is_given_out(layer(FILES, folders=["env/secret"]), Index(record()))
    alone = {f"{SITE}/thing/__init__.py": b"print('hello')\n"}
    assert not is_given_out(layer(alone), Index(record()))
